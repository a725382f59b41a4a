/**
 * Tells systemd how the service is, by the protocol of sd_notify(3): when it is ready, when it stops, and as long as its event loop
 * turns. Where systemd did not start us, nothing is told.
 */
import { type Clock, systemClock } from '../lib/clock.ts'
import { LoopWatch } from './loop-watch.ts'
import { systemdNotify } from './systemd-notify.ts'

export interface NotifierOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock?: Clock
  /** Sends the assignments, such as `READY=1`, in one message. */
  readonly send?: (assignments: readonly string[]) => Promise<void>
  /** Told once when messages begin to get lost, as the service is ended when its word is awaited. */
  readonly onLost: (error: unknown) => void
}

/** In the time that systemd waits for a sign of life there are so many. */
const SIGNS = 3
/** A loop that was held up for longer serves nobody: no sign of life. */
const HELD_UP_MS = 5_000
/** What the end takes besides the time for those who are being served: Tors, the store. */
const END_MS = 20_000

export class SystemdNotifier implements Disposable {
  readonly #clock: Clock
  readonly #send: NotifierOptions['send']
  readonly #onLost: (error: unknown) => void
  /** How often systemd wants a sign of life; undefined when it does not. */
  readonly #signEveryMs: number | undefined
  #loop: LoopWatch | undefined
  #nextSign: Disposable | undefined
  /** Messages go one after the other: systemd takes the last for how things are. */
  #last: Promise<void> = Promise.resolve()
  #isLost = false

  constructor({ env, clock = systemClock, send, onLost }: NotifierOptions) {
    this.#clock = clock
    this.#onLost = onLost
    this.#send = env.NOTIFY_SOCKET === undefined ? undefined : (send ?? systemdNotify(env))
    this.#signEveryMs = this.#send && signEvery(env)
  }

  /** It serves, for the first time or again. Resolves when systemd has been told. */
  async ready(status: string): Promise<void> {
    if (this.#signEveryMs !== undefined && this.#loop === undefined) {
      this.#loop = new LoopWatch(this.#clock)
      this.#signLater(this.#signEveryMs)
    }
    await this.#tell('READY=1', `STATUS=${oneLine(status)}`)
  }

  /** It reads its configuration anew; `ready()` ends that. */
  async reloading(): Promise<void> {
    await this.#tell('RELOADING=1', 'STATUS=Reading the configuration anew')
  }

  /** It ends. `drainMs`: how long those who are being served have; systemd waits at least that long before it ends us by force. */
  async stopping(drainMs: number): Promise<void> {
    const extendUs = (drainMs + END_MS) * 1_000
    await this.#tell('STOPPING=1', `EXTEND_TIMEOUT_USEC=${extendUs}`, 'STATUS=Finishing what is under way')
  }

  [Symbol.dispose](): void {
    this.#nextSign?.[Symbol.dispose]()
    this.#loop?.[Symbol.dispose]()
  }

  #signLater(everyMs: number): void {
    this.#nextSign = this.#clock.timer(everyMs, () => {
      this.#signLater(everyMs)
      if ((this.#loop?.takeLongestHold() ?? 0) < HELD_UP_MS) void this.#tell('WATCHDOG=1')
    })
  }

  #tell(...assignments: readonly string[]): Promise<void> {
    const send = this.#send
    if (send === undefined) return this.#last
    this.#last = this.#last
      .then(() => send(assignments))
      .then(
        () => {
          this.#isLost = false
        },
        (error: unknown) => {
          if (!this.#isLost) this.#onLost(error)
          this.#isLost = true
        },
      )
    return this.#last
  }
}

/** systemd means this process unless it names another. */
function signEvery({ WATCHDOG_USEC: usec, WATCHDOG_PID: pid }: NotifierOptions['env']): number | undefined {
  const isOurs = pid === undefined || Number(pid) === process.pid
  const ms = Number(usec) / 1_000
  return isOurs && ms > 0 ? ms / SIGNS : undefined
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}
