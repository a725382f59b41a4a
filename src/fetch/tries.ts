import { CbtorError } from '../domain/errors.ts'
import type { Attempt, Selection } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { Clock } from '../lib/clock.ts'
import { MAX_TRIES } from './retry-policy.ts'
import type { Lease, WorkerSource } from './worker-source.ts'

/** The workers that one fetch tries, one after the other, and how each of them did. */
export class Tries implements Disposable {
  readonly #source: WorkerSource
  readonly #selection: Selection
  readonly #clock: Clock
  readonly #tried = new Set<string>()
  readonly #attempts: Attempt[] = []
  #current: Lease | undefined
  #next: Lease | undefined
  #startedAt: number

  /** Takes the first lease; throws what the source throws. */
  constructor(source: WorkerSource, selection: Selection, clock: Clock) {
    this.#source = source
    this.#selection = selection
    this.#clock = clock
    this.#current = this.#acquire()
    this.#startedAt = clock.monotonic()
  }

  get attempts(): readonly Attempt[] {
    return this.#attempts
  }

  get lease(): Lease {
    if (this.#current === undefined) throw new Error('Cannot use the worker: the try on it has ended')
    return this.#current
  }

  /** Whether another worker can take over. If so it is held from now on. */
  hasNext(): boolean {
    if (this.#next !== undefined) return true
    if (this.#tried.size >= MAX_TRIES) return false
    try {
      this.#next = this.#acquire()
      return true
    } catch (error) {
      if (error instanceof CbtorError) return false
      throw error
    }
  }

  /** Ends the try on the current worker, if one is going on. */
  end(outcome: 'ok' | ProblemCode): void {
    if (this.#current === undefined) return
    const ms = this.#clock.monotonic() - this.#startedAt
    this.#attempts.push({ worker: this.#current.worker.id, outcome, ms })
    this.#current.report(outcome)
    this.#current[Symbol.dispose]()
    this.#current = undefined
  }

  /** Begins the try on the worker that `hasNext()` found. */
  advance(): void {
    this.#current = this.#next
    this.#next = undefined
    this.#startedAt = this.#clock.monotonic()
  }

  [Symbol.dispose](): void {
    this.#current?.[Symbol.dispose]()
    this.#next?.[Symbol.dispose]()
    this.#current = undefined
    this.#next = undefined
  }

  #acquire(): Lease {
    const lease = this.#source.acquire(this.#selection, this.#tried)
    this.#tried.add(lease.worker.id)
    return lease
  }
}
