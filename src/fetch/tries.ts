import { CbtorError } from '../domain/errors.ts'
import type { Attempt, Selection } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { Clock } from '../lib/clock.ts'
import type { RetryBudget } from './retry-budget.ts'
import { MAX_TRIES } from './retry-policy.ts'
import type { Lease, WorkerSource } from './worker-source.ts'

export interface TriesOptions {
  readonly source: WorkerSource
  readonly selection: Selection
  readonly clock: Clock
  readonly budget: RetryBudget
  /** Told of each worker when its turn begins. */
  readonly onTry?: ((worker: string) => void) | undefined
}

/** The workers that one fetch tries, one after the other or two at once, and how each of them did. */
export class Tries implements Disposable {
  readonly #options: TriesOptions
  readonly #tried = new Set<string>()
  readonly #begun: Try[] = []
  #share: Disposable | undefined
  #reserved: Lease | undefined
  #refusal: CbtorError | undefined

  constructor(options: TriesOptions) {
    this.#options = options
  }

  /** Reserves the first worker; throws what the source throws, and may then be called again. */
  start(): void {
    this.#reserved = this.#acquire(this.#options.selection)
    this.#share = this.#options.budget.begin()
  }

  /** Those that have ended, in the order in which they began. */
  get attempts(): readonly Attempt[] {
    const ended: Attempt[] = []
    for (const { attempt } of this.#begun) if (attempt !== undefined) ended.push(attempt)
    return ended
  }

  /** The one that began last. */
  get last(): Try | undefined {
    return this.#begun.at(-1)
  }

  /** Of all tries that have begun. */
  get leases(): readonly Lease[] {
    return this.#begun.map(({ lease }) => lease)
  }

  /** Why the source had no other worker, when it was asked last. */
  get refusal(): CbtorError | undefined {
    return this.#refusal
  }

  /**
   * Whether another worker may take over from one that failed with `code`: there is one, and the retry budget allows it.
   * If so it is held, and paid for, from now on.
   */
  reserve(code: ProblemCode): boolean {
    return this.#reserved !== undefined || this.#reserve(code, this.#options.selection)
  }

  /** The same for a second try on the worker that failed. */
  reserveAgain(code: ProblemCode, { worker }: Lease): boolean {
    this.#reserved?.[Symbol.dispose]()
    this.#reserved = undefined
    this.#tried.delete(worker.id)
    return this.#reserve(code, { ...this.#options.selection, workerId: worker.id })
  }

  #reserve(code: ProblemCode, selection: Selection): boolean {
    if (this.#begun.length >= MAX_TRIES) return false
    const lease = this.#acquireOther(selection)
    if (lease === undefined) return false
    if (!this.#options.budget.allows(code, lease.worker.id)) {
      this.#tried.delete(lease.worker.id)
      lease[Symbol.dispose]()
      return false
    }
    this.#reserved = lease
    return true
  }

  /** Begins the try on the worker that is reserved. */
  begin(): Try {
    const lease = this.#reserved
    if (lease === undefined) throw new Error('Cannot begin a try: no worker is reserved')
    this.#reserved = undefined
    const begun = new Try(lease, this.#options)
    this.#begun.push(begun)
    this.#options.onTry?.(lease.worker.id)
    return begun
  }

  /** There will be no further try. */
  settle(): void {
    this.#reserved?.[Symbol.dispose]()
    this.#reserved = undefined
    this.#share?.[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.settle()
    for (const begun of this.#begun) begun[Symbol.dispose]()
  }

  #acquireOther(selection: Selection): Lease | undefined {
    try {
      return this.#acquire(selection)
    } catch (error) {
      if (!(error instanceof CbtorError)) throw error
      this.#refusal = error
      return undefined
    }
  }

  #acquire(selection: Selection): Lease {
    const lease = this.#options.source.acquire(selection, this.#tried)
    this.#tried.add(lease.worker.id)
    return lease
  }
}

/** One worker's turn, for as many hops as it does well. */
export class Try implements Disposable {
  readonly lease: Lease
  readonly #options: TriesOptions
  readonly #startedAt: number
  #attempt: Attempt | undefined
  #isHeld = true

  constructor(lease: Lease, options: TriesOptions) {
    this.lease = lease
    this.#options = options
    this.#startedAt = options.clock.monotonic()
  }

  /** How it went; undefined while it goes on. */
  get attempt(): Attempt | undefined {
    return this.#attempt
  }

  /** Ends the try, unless it has ended, and lets the worker go. */
  end(outcome: Attempt['outcome']): void {
    if (this.#attempt !== undefined) return
    this.#tell(outcome)
    this.#letGo()
  }

  /** Ends the try well, but holds on to the worker until this is disposed. */
  succeed(): void {
    this.#tell('ok')
  }

  [Symbol.dispose](): void {
    this.#letGo()
  }

  #tell(outcome: Attempt['outcome']): void {
    const { clock, budget } = this.#options
    const worker = this.lease.worker.id
    this.#attempt = { worker, outcome, ms: clock.monotonic() - this.#startedAt }
    budget.tried(worker, outcome)
    // That another one was faster is as little evidence of this worker's health as a client that leaves.
    this.lease.report(outcome === 'hedge_lost' ? 'client_gone' : outcome)
  }

  #letGo(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.lease[Symbol.dispose]()
  }
}
