import type { Clock } from './clock.ts'

interface Alarm {
  readonly at: number
  readonly order: number
  ring(): void
}

/** A clock that stands still until told to move, so that tests of hours run in milliseconds. */
export class FakeClock implements Clock {
  #now: number
  #order = 0
  #alarms: Alarm[] = []

  constructor(startAt = 1_000_000) {
    this.#now = startAt
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now
  }

  /** How many sleeps and timers are waiting. Zero at the end of a test means that nothing was forgotten. */
  get pending(): number {
    return this.#alarms.length
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        alarm[Symbol.dispose]()
        reject(signal?.reason)
      }
      const alarm = this.timer(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  timer(ms: number, callback: () => void): Disposable {
    const alarm: Alarm = { at: this.#now + Math.max(0, ms), order: this.#order++, ring: callback }
    this.#alarms.push(alarm)
    return { [Symbol.dispose]: () => this.#remove(alarm) }
  }

  /** Moves on by `ms`, ringing what falls due in order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    for (;;) {
      const next = this.#alarms
        .filter((alarm) => alarm.at <= until)
        .sort((a, b) => a.at - b.at || a.order - b.order)
        .at(0)
      if (next === undefined) break
      this.#remove(next)
      this.#now = next.at
      next.ring()
      await settle()
    }
    this.#now = until
    await settle()
  }

  #remove(alarm: Alarm): void {
    this.#alarms = this.#alarms.filter((other) => other !== alarm)
  }
}

/** Lets every promise that can settle without time passing do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
