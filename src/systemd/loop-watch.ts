import type { Clock } from '../lib/clock.ts'

const TICK_MS = 1_000

/** Sees for how long the event loop is held up, by a tick each second that comes late when it is. */
export class LoopWatch implements Disposable {
  readonly #clock: Clock
  #longestMs = 0
  #tick: Disposable

  constructor(clock: Clock) {
    this.#clock = clock
    this.#tick = this.#tickAfter(TICK_MS)
  }

  /** The longest time since it was last asked for. */
  takeLongestHold(): number {
    const longest = this.#longestMs
    this.#longestMs = 0
    return longest
  }

  [Symbol.dispose](): void {
    this.#tick[Symbol.dispose]()
  }

  #tickAfter(ms: number): Disposable {
    const dueAt = this.#clock.monotonic() + ms
    return this.#clock.timer(ms, () => {
      this.#longestMs = Math.max(this.#longestMs, this.#clock.monotonic() - dueAt)
      this.#tick = this.#tickAfter(TICK_MS)
    })
  }
}
