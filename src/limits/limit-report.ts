import type { Flow } from './token-bucket.ts'

/** What a replica has let in of one key. */
export interface KeyReport {
  readonly key: string
  /** Requests since it started, */
  readonly taken: number
  /** and since its last report. */
  readonly takenLately: number
  /** Requests now. */
  readonly underWay: number
  /** As with requests: bytes of this day. */
  readonly bytes: number
  readonly bytesLately: number
  /** What the key is held to. */
  readonly flow: Flow
}

/** What a replica tells the others of its keys: those that have something under way, or had since it told last. */
export interface LimitReport {
  /** Of the bytes: `2026-11-26`, UTC. */
  readonly day: string
  readonly keys: readonly KeyReport[]
}

/** As JSON, of another replica. Kept short: it goes out once a second. */
export interface LimitReportJson {
  readonly [name: string]: string | readonly (readonly (string | number)[])[]
  readonly day: string
  readonly keys: readonly (readonly (string | number)[])[]
}

/** -1 stands for what JSON cannot say: no limit. */
const UNLIMITED_JSON = -1

export function toJson({ day, keys }: LimitReport): LimitReportJson {
  return {
    day,
    keys: keys.map(({ key, taken, takenLately, underWay, bytes, bytesLately, flow }) => [
      ...[key, taken, takenLately, underWay, bytes, bytesLately],
      ...[flow.rate, flow.burst].map((limit) => (limit === Number.POSITIVE_INFINITY ? UNLIMITED_JSON : limit)),
    ]),
  }
}

/** Undefined when it is none. What is no report of a key in it is left out; what stands behind the known fields, too. */
export function fromJson(json: unknown): LimitReport | undefined {
  if (typeof json !== 'object' || json === null || !('day' in json) || !('keys' in json)) return undefined
  const { day, keys } = json
  if (typeof day !== 'string' || !Array.isArray(keys)) return undefined
  return { day, keys: keys.flatMap((row: unknown) => keyReportOf(row) ?? []) }
}

function keyReportOf(row: unknown): KeyReport | undefined {
  if (!Array.isArray(row)) return undefined
  const [key, ...rest]: unknown[] = row
  const numbers = rest.slice(0, 7)
  if (typeof key !== 'string' || numbers.length < 7 || !numbers.every(isAmount)) return undefined
  const [taken = 0, takenLately = 0, underWay = 0, bytes = 0, bytesLately = 0, rate = 0, burst = 0] = numbers
  if ([taken, takenLately, underWay, bytes, bytesLately].some((amount) => amount < 0)) return undefined
  const flow = { rate: limitOf(rate), burst: limitOf(burst) }
  if (!(flow.rate > 0 && flow.burst > 0)) return undefined
  return { key, taken, takenLately, underWay, bytes, bytesLately, flow }
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function limitOf(value: number): number {
  return value === UNLIMITED_JSON ? Number.POSITIVE_INFINITY : value
}
