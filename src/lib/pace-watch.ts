import type { Clock } from './clock.ts'

export interface Pace {
  /** So many at least, */
  readonly bytes: number
  /** within so long. */
  readonly withinMs: number
}

export interface Mover {
  /** All bytes so far. */
  moved(): number
  /** Whether it is up to them, and not to us, that there are no more. */
  isWaiting(): boolean
  /** Called once. */
  onSlow(): void
}

/** How often it looks within the time of the pace. */
const LOOKS = 10

/** Tells of somebody who sends or takes bytes more slowly than a pace, for as long as that is up to them. */
export class PaceWatch implements Disposable {
  readonly #clock: Clock
  readonly #pace: Pace
  readonly #mover: Mover
  #movedBefore: number
  #since: number
  #timer: Disposable

  constructor(clock: Clock, pace: Pace, mover: Mover) {
    this.#clock = clock
    this.#pace = pace
    this.#mover = mover
    this.#movedBefore = mover.moved()
    this.#since = clock.monotonic()
    this.#timer = this.#arm()
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
  }

  #arm(): Disposable {
    return this.#clock.timer(this.#pace.withinMs / LOOKS, () => this.#look())
  }

  #look(): void {
    const { bytes, withinMs } = this.#pace
    const moved = this.#mover.moved()
    const now = this.#clock.monotonic()
    if (!this.#mover.isWaiting() || moved - this.#movedBefore >= bytes) {
      this.#movedBefore = moved
      this.#since = now
    } else if (now - this.#since >= withinMs) {
      this.#mover.onSlow()
      return
    }
    this.#timer = this.#arm()
  }
}
