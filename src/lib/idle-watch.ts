import type { Clock } from './clock.ts'

/** How often it looks within one limit. Looking is cheaper than a timer that every chunk of data sets anew. */
const LOOKS = 8

/** Calls back once when a number that grows with every byte has stood still for `limitMs`, or up to an eighth longer. */
export class IdleWatch implements Disposable {
  readonly #clock: Clock
  readonly #progress: () => number
  readonly #onIdle: () => void
  #limitMs: number
  #lastProgress: number
  #stillSince: number
  #timer: Disposable

  constructor(clock: Clock, limitMs: number, progress: () => number, onIdle: () => void) {
    this.#clock = clock
    this.#progress = progress
    this.#onIdle = onIdle
    this.#limitMs = limitMs
    this.#lastProgress = progress()
    this.#stillSince = clock.monotonic()
    this.#timer = this.#arm()
  }

  /** From now on it takes only so long, if that is less. */
  shorten(limitMs: number): void {
    if (limitMs >= this.#limitMs) return
    this.#limitMs = limitMs
    this.#timer[Symbol.dispose]()
    this.#stillSince = this.#clock.monotonic()
    this.#timer = this.#arm()
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
  }

  #arm(): Disposable {
    return this.#clock.timer(this.#limitMs / LOOKS, () => this.#look())
  }

  #look(): void {
    const progress = this.#progress()
    if (progress !== this.#lastProgress) {
      this.#lastProgress = progress
      this.#stillSince = this.#clock.monotonic()
    } else if (this.#clock.monotonic() - this.#stillSince >= this.#limitMs) {
      this.#onIdle()
      return
    }
    this.#timer = this.#arm()
  }
}
