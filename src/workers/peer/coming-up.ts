import { abortable } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { PeerState } from './messages.ts'

export interface ComingUpLimits {
  /** For a Tor that its own replica is bringing up. */
  readonly upWithinMs: number
  /** For one that is stopped there: the order to start it may be on its way from here. */
  readonly heardWithinMs: number
}

/** The wait for a Tor of another replica, by what that says of it. Dispose it when done. */
export class ComingUp implements Disposable {
  readonly #clock: Clock
  readonly #limits: ComingUpLimits
  readonly #giveUp: () => void
  readonly #up = Promise.withResolvers<void>()
  readonly #late: Disposable
  #stopped: Disposable | undefined
  #why = ''

  /** `tooLate`: what to reject with, by what is wrong with the Tor. */
  constructor(clock: Clock, limits: ComingUpLimits, tooLate: (why: string) => Error) {
    this.#clock = clock
    this.#limits = limits
    this.#giveUp = () => this.#up.reject(tooLate(this.#why))
    this.#late = clock.timer(limits.upWithinMs, this.#giveUp)
    this.#up.promise.catch(() => {})
  }

  look({ process, bootstrap, problem }: PeerState): void {
    this.#why = problem ?? process
    if (process === 'stopped') {
      this.#stopped ??= this.#clock.timer(this.#limits.heardWithinMs, this.#giveUp)
      return
    }
    this.#stopped?.[Symbol.dispose]()
    this.#stopped = undefined
    if (process === 'running' && bootstrap.progress === 100) this.#up.resolve()
  }

  /** There is nobody any more who would say that it is up. */
  fail(error: Error): void {
    this.#up.reject(error)
  }

  /** Rejects with the signal's reason when aborted. */
  async done(signal: AbortSignal): Promise<void> {
    await abortable(this.#up.promise, signal)
  }

  [Symbol.dispose](): void {
    this.#late[Symbol.dispose]()
    this.#stopped?.[Symbol.dispose]()
  }
}
