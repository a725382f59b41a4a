import type { Clock } from '../lib/clock.ts'

/** Replicas tell each second: what is older than that is of one that has gone, or cannot be heard. */
const HOLDS_MS = 5_000

/** What other replicas have on the workers, by worker id, as they told it last. */
export class Elsewhere {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #told = new Map<string, { readonly counts: ReadonlyMap<string, number>; readonly until: number }>()
  /** When the first of them holds no more, by the monotonic clock. */
  #overAt = Number.POSITIVE_INFINITY

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  set(replica: string, counts: ReadonlyMap<string, number> | undefined): void {
    if (counts === undefined) this.#told.delete(replica)
    else this.#told.set(replica, { counts, until: this.#clock.monotonic() + HOLDS_MS })
    this.#findEnd()
  }

  /** Whether something that was told holds no more. Nothing is asked of the clock where nobody tells anything. */
  get isOver(): boolean {
    return this.#told.size > 0 && this.#clock.monotonic() >= this.#overAt
  }

  /** Of all together, what still holds. */
  counts(): ReadonlyMap<string, number> {
    const now = this.#clock.monotonic()
    const sums = new Map<string, number>()
    for (const [replica, { counts, until }] of this.#told) {
      if (until <= now) this.#told.delete(replica)
      else for (const [worker, count] of counts) sums.set(worker, (sums.get(worker) ?? 0) + count)
    }
    this.#findEnd()
    return sums
  }

  #findEnd(): void {
    this.#overAt = Number.POSITIVE_INFINITY
    for (const { until } of this.#told.values()) this.#overAt = Math.min(this.#overAt, until)
  }
}
