import type { KeyReport, LimitReport } from './limit-report.ts'
import type { Flow } from './token-bucket.ts'

/** Who tells: a replica, and which run of it. */
export interface Teller {
  readonly replica: string
  readonly run: string
}

/** What has come of one key at another replica since it told last. */
export interface Increment {
  readonly key: string
  readonly flow: Flow
  /** Requests. */
  readonly taken: number
  readonly bytes: number
}

/** What one replica told last. */
interface Told {
  readonly run: string
  day: string
  /** By the monotonic clock. */
  at: number
  /** Whether its requests under way count. */
  holds: boolean
  /** By key, those of late last. */
  readonly sums: Map<string, Pick<KeyReport, 'taken' | 'bytes'>>
  underWay: ReadonlyMap<string, number>
}

/** Replicas tell each second: one that is silent for so long has gone, or cannot be heard. */
const HOLDS_MS = 5_000
/** Keys of one replica: of others it is believed what it says that has come since its last report. */
const MAX_KEYS = 10_000
const MAX_REPLICAS = 256

/**
 * What other replicas have told of their keys. Sums are told, so that what gets lost on the way is made up for by the next report;
 * for a key that is new here, what has come of it lately. No more requests are counted of a replica than its limits allow in 5 s: who
 * could not be heard for an hour has kept to the limits alone, and nobody has to pay for that hour.
 */
export class HeardReports {
  readonly #told = new Map<string, Told>()
  /** When the first one that holds has been silent for too long. */
  #overAt = Number.POSITIVE_INFINITY

  /** What has come since the replica's last report. */
  hear({ replica, run }: Teller, { day, keys }: LimitReport, now: number): readonly Increment[] {
    const known = this.#told.get(replica)
    const told: Told =
      known?.run === run ? known : { run, day, at: now, holds: true, sums: new Map(), underWay: NOBODY }
    const sinceS = Math.min(now - told.at, HOLDS_MS) / 1_000
    const isSameDay = told.day === day
    const increments = keys.map((report) => {
      const { key, flow } = report
      const before = told.sums.get(key)
      const taken = since(before?.taken, report.taken, report.takenLately)
      const bytes = since(isSameDay ? before?.bytes : undefined, report.bytes, report.bytesLately)
      latest(told.sums, key, { taken: report.taken, bytes: report.bytes }, MAX_KEYS)
      return { key, flow, taken: Math.min(taken, mostOf(flow, sinceS)), bytes }
    })
    told.day = day
    told.at = now
    told.holds = true
    told.underWay = new Map(keys.flatMap(({ key, underWay }) => (underWay > 0 ? [[key, underWay]] : [])))
    latest(this.#told, replica, told, MAX_REPLICAS)
    this.#findEnd()
    return increments
  }

  /** The replica is gone: what it had under way has ended. */
  gone(replica: string): void {
    const told = this.#told.get(replica)
    if (told === undefined) return
    told.holds = false
    told.underWay = NOBODY
    this.#findEnd()
  }

  /** Whether one has been silent for too long. */
  isOver(now: number): boolean {
    return now >= this.#overAt
  }

  /** Requests under way at all others, by key. */
  underWay(now: number): ReadonlyMap<string, number> {
    const sums = new Map<string, number>()
    for (const [replica, { at, holds, underWay }] of this.#told) {
      if (holds && now - at >= HOLDS_MS) this.gone(replica)
      else for (const [key, count] of underWay) sums.set(key, (sums.get(key) ?? 0) + count)
    }
    return sums
  }

  #findEnd(): void {
    this.#overAt = Number.POSITIVE_INFINITY
    for (const { at, holds } of this.#told.values()) if (holds) this.#overAt = Math.min(this.#overAt, at + HOLDS_MS)
  }
}

const NOBODY: ReadonlyMap<string, number> = new Map()

/** How many a key may be let in within so many seconds. */
function mostOf({ rate, burst }: Flow, seconds: number): number {
  return rate === Number.POSITIVE_INFINITY ? rate : burst + rate * seconds
}

/** A sum that is less than before is one that began anew. */
function since(before: number | undefined, sum: number, lately: number): number {
  return before === undefined || sum < before ? lately : sum - before
}

/** Puts it last, and forgets the first when there are too many. */
function latest<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > most && oldest !== undefined) map.delete(oldest)
}
