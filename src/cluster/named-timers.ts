import type { Clock } from '../lib/clock.ts'

/** Timers by what they are for: one of each at a time. After they are disposed there are no more. */
export class NamedTimers implements Disposable {
  readonly #clock: Clock
  readonly #going = new Map<string, Disposable>()
  #isEnded = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Does nothing while one of this name goes. */
  after(name: string, ms: number, work: () => void): void {
    if (this.#isEnded || this.#going.has(name)) return
    const timer = this.#clock.timer(ms, () => {
      this.#going.delete(name)
      work()
    })
    this.#going.set(name, timer)
  }

  every(name: string, ms: number, work: () => void): void {
    this.after(name, ms, () => {
      this.every(name, ms, work)
      work()
    })
  }

  [Symbol.dispose](): void {
    this.#isEnded = true
    for (const timer of this.#going.values()) timer[Symbol.dispose]()
    this.#going.clear()
  }
}
