import type { CbtorError } from '../domain/errors.ts'
import { PROBLEMS } from '../domain/problems.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { isTimeout } from './failure.ts'
import { type Binding, type FailedTry, mostTelling, nextTry, waitBeforeNextMs } from './retry-policy.ts'
import type { Tries, Try } from './tries.ts'

export interface RetriesOptions {
  readonly clock: Clock
  readonly random: Random
  readonly tries: Tries
  readonly request: Binding
  /** Aborts when time is up, when the caller goes away, and when the service ends. */
  readonly signal: AbortSignal
}

/** What becomes of one thing that is tried on one worker after another: those that failed, and whether there is a next one. */
export class Retries {
  /** In order. */
  readonly failed: FailedTry[] = []
  readonly #options: RetriesOptions

  constructor(options: RetriesOptions) {
    this.#options = options
  }

  /**
   * The turn of the next worker, after `last` has failed. Rejects with what to tell the caller when there is none, or with
   * the signal's reason. `method`: what it would do twice.
   */
  async next(method: string, last: Try): Promise<Try> {
    const { clock, random, tries, signal } = this.#options
    if (!signal.aborted && !this.#mayGoOn(method, last)) throw this.#verdict()
    const waitMs = waitBeforeNextMs(this.failed, random)
    if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => {})
    if (signal.aborted) throw this.#ended()
    return tries.begin()
  }

  /** Whether another try makes sense, is allowed and has a worker, which then is reserved. */
  #mayGoOn(method: string, { lease }: Try): boolean {
    const { tries, request } = this.#options
    const code = this.failed.at(-1)?.error.code
    if (code === undefined) return false
    switch (nextTry(method, request, this.failed)) {
      case 'elsewhere':
        return tries.reserve(code)
      case 'again':
        return tries.reserveAgain(code, lease)
      case 'none':
        return false
    }
  }

  /** What to tell the caller when there is no further try. */
  #verdict(): CbtorError | undefined {
    const { refusal } = this.#options.tries
    const code = this.failed.at(-1)?.error.code
    const isOfWorker = code === 'connection_lost' || (code !== undefined && PROBLEMS[code].fault === 'worker')
    return isOfWorker && refusal?.code === 'session_worker_lost' ? refusal : mostTelling(this.failed)
  }

  /** What to tell the caller when it was ended from outside; when time was up, what it was that took so long. */
  #ended(): unknown {
    const { reason } = this.#options.signal
    if (!isTimeout(reason)) return reason
    const late = this.failed.filter(({ error }) => error === reason || error.cause === reason)
    return mostTelling(late.length > 0 ? late : this.failed)
  }
}
