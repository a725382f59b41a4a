import type { StoreLink } from '../../src/cluster/store-link.ts'
import type { Clock } from '../../src/lib/clock.ts'

/** One process, that may be stopped: its timers and what it is sent wait until it goes on, and only time does not. */
export class Paused {
  #waiting: (() => void)[] | undefined
  #isResuming = false

  pause(): void {
    this.#waiting ??= []
  }

  /** What waited happens in order, each with all that follows from it at once before the next, as in an event loop. */
  resume(): void {
    const waiting = this.#waiting
    if (waiting === undefined || this.#isResuming) return
    this.#isResuming = true
    const goOn = async () => {
      for (let call = waiting.shift(); call !== undefined; call = waiting.shift()) {
        call()
        for (let turn = 0; turn < 20; turn++) await undefined
      }
      this.#waiting = undefined
      this.#isResuming = false
    }
    void goOn()
  }

  pass(call: () => void): void {
    if (this.#waiting === undefined) call()
    else this.#waiting.push(call)
  }

  clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      timer: (ms, callback) => clock.timer(ms, () => this.pass(callback)),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal)
        await new Promise<void>((resolve) => this.pass(resolve))
      },
    }
  }

  link(link: StoreLink): StoreLink {
    const settled = <T>(answer: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        answer.then(
          (value) => this.pass(() => resolve(value)),
          (error) => this.pass(() => reject(error)),
        )
      })
    return {
      get isUp() {
        return link.isUp
      },
      key: (name) => link.key(name),
      call: (command, ...args) => settled(link.call(command, ...args)),
      run: (script, keys, args) => settled(link.run(script, keys, args)),
      subscribe: (channel, listener) => link.subscribe(channel, (message) => this.pass(() => listener(message))),
      onChange: (listener) => link.onChange((isUp) => this.pass(() => listener(isUp))),
    }
  }
}
