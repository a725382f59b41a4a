import type { Attempt } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { Clock } from '../lib/clock.ts'

/** One retry for so many requests: 20 %, as Envoy's `retry_budget`. */
const REQUESTS_PER_RETRY = 5
/** So many retries within `RECENT_MS` are made in any case: Envoy's floor of three at a time, at some 3 s for a try through Tor. */
const FLOOR = 10
/** How long a request that has ended, and a retry that was made, count as recent. */
const RECENT_MS = 10_000
/** Requests that end within this time of each other are counted together. */
const GRAIN_MS = 250

/**
 * How many tries the whole service may add to those that its callers asked for, so that an outage is not made worse by
 * retrying. Each request brings a fifth of a retry, to be spent once by anybody, while it is active or for 10 s after
 * it. A quiet service has no budget to speak of, so ten retries in 10 s may be made on credit, which later requests pay
 * back. (Envoy's floor is three at a time. Where failures come at once, that is no bound at all.)
 *
 * Two promises pull at this number, and one distinction keeps both. *A worker of four dies under 20 requests/s and
 * nobody notices*: all that was on it must go elsewhere at once, however much that is. *In a full outage the load is at
 * most 1.2 times what was asked*: nearly nobody may go elsewhere. The distinction is whose fault it is:
 *
 *     a worker of ours cannot be reached   it loads neither Tor nor a target, and leaving it is no sign that the far
 *                                          end is in trouble: the move to a worker that is not known to be as bad is
 *                                          always allowed. It is charged as far as there is budget.
 *     anything else                        is paid for in full, or not made
 *
 * A worker is known to be bad from a try that could not reach it until one that got an answer through it. In a full
 * outage each worker becomes known by its first failure, and from then on every move is paid for, too: what was free
 * are the requests in flight at that moment, once. So all retries are at most a fifth of the requests, plus these, plus
 * what credit is not paid back yet.
 */
export class RetryBudget {
  readonly #clock: Pick<Clock, 'monotonic'>
  #active = 0
  /** What active requests have brought and nobody has spent, in parts of a retry; never more than `#active`. */
  #activeParts = 0
  /** The same of requests that have ended, those that expire first in front. */
  readonly #recent: { readonly until: number; parts: number }[] = []
  /** Parts that were spent on credit. */
  #owed = 0
  /** When the last retries were made: as many as the floor allows. */
  #lastRetries: readonly number[] = []
  readonly #unreachable = new Set<string>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** A request begins its first try; dispose it when the request ends. */
  begin(): Disposable {
    this.#active++
    if (this.#owed > 0) this.#owed--
    else this.#activeParts++
    let goesOn = true
    return {
      [Symbol.dispose]: () => {
        if (goesOn) this.#end()
        goesOn = false
      },
    }
  }

  /** Learns from how a try went which workers cannot be reached. */
  tried(worker: string, outcome: Attempt['outcome']): void {
    if (outcome === 'worker_unreachable') this.#unreachable.add(worker)
    else if (outcome === 'ok') this.#unreachable.delete(worker)
  }

  /** Whether a request whose try failed with `code` may be tried on `worker` now. If so, it is charged for it. */
  allows(code: ProblemCode, worker: string): boolean {
    const isMove = code === 'worker_unreachable' && !this.#unreachable.has(worker)
    const now = this.#clock.monotonic()
    this.#forget(now)
    const isPaid = this.#parts() >= REQUESTS_PER_RETRY
    const isUnderFloor = this.#lastRetries.filter((at) => at > now - RECENT_MS).length < FLOOR
    if (!isMove && !isPaid && !isUnderFloor) return false
    const due = this.#spend(REQUESTS_PER_RETRY)
    if (isMove) return true
    this.#owed = Math.min(this.#owed + due, FLOOR * REQUESTS_PER_RETRY)
    this.#lastRetries = [...this.#lastRetries, now].slice(-FLOOR)
    return true
  }

  #parts(): number {
    return this.#activeParts + this.#recent.reduce((sum, { parts }) => sum + parts, 0)
  }

  /** Spends `due` parts, of which what would expire first goes first. Returns how many were missing. */
  #spend(due: number): number {
    for (const share of this.#recent) {
      const taken = Math.min(share.parts, due)
      share.parts -= taken
      due -= taken
    }
    const taken = Math.min(this.#activeParts, due)
    this.#activeParts -= taken
    return due - taken
  }

  #end(): void {
    this.#active--
    if (this.#activeParts <= this.#active) return
    this.#activeParts--
    const now = this.#clock.monotonic()
    this.#forget(now)
    const last = this.#recent.at(-1)
    if (last !== undefined && last.until > now + RECENT_MS - GRAIN_MS) last.parts++
    else this.#recent.push({ until: now + RECENT_MS, parts: 1 })
  }

  #forget(now: number): void {
    while (this.#recent[0] !== undefined && this.#recent[0].until <= now) this.#recent.shift()
  }
}
