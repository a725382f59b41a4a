import { CbtorError } from '../domain/errors.ts'
import type { Selection } from '../domain/exchange.ts'
import type { Place, Politeness } from './order.ts'
import type { Lease, WorkerSource } from './worker-source.ts'

/** Workers for one request, which have room for its host; while it holds one, it has a place at the host. */
export class PoliteSource implements WorkerSource {
  readonly #source: WorkerSource
  readonly #politeness: Politeness
  readonly #places = new Set<Place>()
  readonly #isPaced: boolean
  #host: string
  #busyWorkers = 1

  /** `isPaced`: whether it counts for how many come per second. */
  constructor(source: WorkerSource, politeness: Politeness, host: string, isPaced: boolean) {
    this.#isPaced = isPaced
    this.#source = source
    this.#politeness = politeness
    this.#host = host
  }

  /** Where the request is, or goes next. */
  get host(): string {
    return this.#host
  }

  /** How often one of the workers that were busy at the last refusal will have room, as far as the rate is concerned. */
  get everyMs(): number | undefined {
    return this.#isPaced ? this.#politeness.everyMs / this.#busyWorkers : undefined
  }

  /** Throws also `target_busy`, with when a worker will have room, if that is known. */
  acquire(selection: Selection, tried: ReadonlySet<string>): Lease {
    const busy = this.#politeness.busy(this.#host, this.#isPaced)
    try {
      return this.#withPlace(this.#source.acquire(selection, tried, busy))
    } catch (error) {
      if (!(error instanceof CbtorError) || error.code !== 'target_busy') throw error
      this.#busyWorkers = selection.workerId === undefined ? Math.max(1, busy.size) : 1
      const inMs = [...busy].flatMap(([worker, ms]) => (tried.has(worker) || ms === undefined ? [] : [ms]))
      throw inMs.length === 0
        ? error
        : new CbtorError('target_busy', error.message, { retryAfterMs: Math.min(...inMs) })
    }
  }

  /** A redirect leads there: its places move along, even where there is no room. What is too much is made up for later. */
  goesTo(host: string): void {
    this.#host = host
    for (const place of this.#places) place.goesTo(host)
  }

  #withPlace(lease: Lease): Lease {
    const place = this.#politeness.enter(this.#host, lease.worker.id, this.#isPaced)
    this.#places.add(place)
    return {
      worker: lease.worker,
      connect: (target, identity, signal, options) => lease.connect(target, identity, signal, options),
      resolve: (host, identity, signal) => lease.resolve(host, identity, signal),
      forget: (identity) => lease.forget(identity),
      report: (outcome) => lease.report(outcome),
      stands() {
        place.stands()
        lease.stands?.()
      },
      stalled: (phase) => lease.stalled?.(phase),
      [Symbol.dispose]: () => {
        this.#places.delete(place)
        place[Symbol.dispose]()
        lease[Symbol.dispose]()
      },
    }
  }
}
