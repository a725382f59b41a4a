/** What the checks of workers have come to at all gateways of a pool: each of them checks its share of the workers. */
import type { EndpointStatistics } from './health/check-endpoints.ts'
import type { CheckStatistics } from './health/check-statistics.ts'
import type { Clock } from './lib/clock.ts'
import type { Json } from './lib/json.ts'
import type { Store } from './store/store.ts'

export interface CheckShareOptions {
  readonly clock: Clock
  readonly store: Pick<Store, 'checkStatistics' | 'setCheckStatistics'>
  readonly replica: string
  readonly checks: { statistics(): readonly EndpointStatistics[] }
  /** Writes, and shows it when that fails. */
  keep(write: () => void): void
}

const TELL_EVERY_MS = 30_000
/** What a gateway told so long ago is not counted: it is gone. */
const HOLDS_MS = 5 * 60_000

/** Tells the others, until it is disposed. */
export class CheckShare implements Disposable {
  readonly #options: CheckShareOptions
  #next: Disposable

  constructor(options: CheckShareOptions) {
    this.#options = options
    this.#next = options.clock.timer(TELL_EVERY_MS, () => this.#tell())
  }

  /** The sums of all gateways; latencies and errors are those that were seen here. */
  statistics(): readonly EndpointStatistics[] {
    const { checks, store, clock, replica } = this.#options
    const others = [...store.checkStatistics()]
      .filter(([name]) => name !== replica)
      .flatMap(([, json]) => read(json, clock.now() - HOLDS_MS))
    return checks.statistics().map((own) => {
      const told = others.filter(({ url }) => url === own.url)
      const byWorker = new Map(own.byWorker)
      for (const { workers } of told)
        for (const { name, counts } of workers) byWorker.set(name, plus(byWorker.get(name) ?? NONE, counts))
      return { ...own, ...told.reduce<CheckStatistics>((sum, { counts }) => plus(sum, counts), own), byWorker }
    })
  }

  [Symbol.dispose](): void {
    this.#next[Symbol.dispose]()
  }

  #tell(): void {
    const { keep, store, replica, checks, clock } = this.#options
    const endpoints = checks
      .statistics()
      .map(({ url, byWorker, ...total }) => [
        url,
        row(total),
        [...byWorker].flatMap(([name, of]) => (of.attempts > 0 ? [[name, row(of)]] : [])),
      ])
    keep(() => store.setCheckStatistics(replica, { at: clock.now(), endpoints }))
    this.#next = clock.timer(TELL_EVERY_MS, () => this.#tell())
  }
}

type Counts = Pick<CheckStatistics, 'attempts' | 'successes' | 'failures' | 'lastSuccessAt'>

interface ToldEndpoint {
  readonly url: string
  readonly counts: Counts
  readonly workers: readonly { readonly name: string; readonly counts: Counts }[]
}

const NONE: CheckStatistics = {
  ...{ attempts: 0, successes: 0, failures: 0, lastError: undefined, lastSuccessAt: undefined },
  ...{ p50Ms: undefined, p95Ms: undefined },
}

function plus(own: CheckStatistics, { attempts, successes, failures, lastSuccessAt: at }: Counts): CheckStatistics {
  const { lastSuccessAt = at } = own
  return {
    ...own,
    attempts: own.attempts + attempts,
    successes: own.successes + successes,
    failures: own.failures + failures,
    lastSuccessAt: at === undefined || lastSuccessAt === undefined ? lastSuccessAt : Math.max(lastSuccessAt, at),
  }
}

function row({ attempts, successes, lastSuccessAt = null }: { readonly [K in keyof Counts]: Counts[K] | null }): Json {
  return [attempts, successes, lastSuccessAt]
}

/** Of another version, what is not known is left out. */
function read(json: Json, since: number): readonly ToldEndpoint[] {
  if (typeof json !== 'object' || json === null || !('at' in json) || !('endpoints' in json)) return []
  const { at, endpoints } = json
  if (typeof at !== 'number' || at < since || !Array.isArray(endpoints)) return []
  return endpoints.flatMap((told: unknown) => {
    const [url, total, workers] = Array.isArray(told) ? told : []
    const counts = countsOf(total)
    if (typeof url !== 'string' || counts === undefined || !Array.isArray(workers)) return []
    const named = workers.flatMap((each: unknown) => {
      const [name, ofOne] = Array.isArray(each) ? each : []
      const own = countsOf(ofOne)
      return typeof name === 'string' && own !== undefined ? [{ name, counts: own }] : []
    })
    return [{ url, counts, workers: named }]
  })
}

function countsOf(value: unknown): Counts | undefined {
  const [attempts, successes, at]: readonly unknown[] = Array.isArray(value) ? value : []
  if (!isCount(attempts) || !isCount(successes) || successes > attempts) return undefined
  return { attempts, successes, failures: attempts - successes, lastSuccessAt: isCount(at) ? at : undefined }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(Math.round(value)) && value >= 0
}
