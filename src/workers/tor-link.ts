import { CbtorError } from '../domain/errors.ts'
import type { Identity } from '../domain/identity.ts'
import { type Exit, isOnionHost, type Target } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { within } from '../lib/within.ts'
import type { TorControl } from '../tor/control/client.ts'
import { dialThroughSocks, greetSocks, type SocksProxy } from '../tor/socks/dial.ts'
import { SocksReplyError } from '../tor/socks/errors.ts'
import { ControlWatch } from './control-watch.ts'
import {
  type DriverEvent,
  type NewCircuits,
  NOTHING_KNOWN,
  type WorkerConnection,
  type WorkerInspection,
} from './driver.ts'
import { problemOfDial } from './tor-problems.ts'

/** Isolation is by user name and password together; the user name alone carries the identity. */
const SOCKS_PASSWORD = 'cbtor'

/** The event is there within a millisecond or two of the SOCKS reply; a control connection that hangs holds nobody up. */
const EXIT_KNOWN_WITHIN_MS = 5_000
const REASON_KNOWN_WITHIN_MS = 250

export interface TorLinkOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly socks: SocksProxy
  readonly clock: Clock
  readonly onEvent: (event: DriverEvent) => void
  /**
   * Whether the way to the control port may be lost while Tor is well: then a silent one is no sign of ill health. False,
   * the default, where it is a unix socket of our own Tor.
   */
  readonly mayLoseControl?: boolean
}

/**
 * A running Tor as a worker uses it: streams through its SOCKS port and, while its control port is in reach, what that tells
 * about them.
 */
export class TorLink {
  readonly #options: TorLinkOptions
  #watch: ControlWatch | undefined

  /** Takes an authenticated control connection, which stays the caller's to close. */
  static async create(control: TorControl, options: TorLinkOptions, signal: AbortSignal): Promise<TorLink> {
    const link = new TorLink(options)
    await link.attach(control, signal)
    return link
  }

  constructor(options: TorLinkOptions) {
    this.#options = options
  }

  /** What the control port tells; undefined while it is out of reach. */
  get watch(): ControlWatch | undefined {
    return this.#watch
  }

  /** From now on the control port is in reach, until `detach()`. The connection stays the caller's to close. */
  async attach(control: TorControl, signal: AbortSignal): Promise<void> {
    this.#watch = await ControlWatch.create(control, this.#options, signal)
  }

  /** The control port is out of reach from now on. */
  detach(): void {
    this.#watch = undefined
  }

  /** As `WorkerDriver.connect` promises. Without a control port nothing proves the isolation, and no storm is seen. */
  async connect(target: Target, identity: Identity, signal: AbortSignal): Promise<WorkerConnection> {
    const { worker, socks, clock } = this.#options
    const watch = this.#watch
    if (watch?.refusal) throw watch.refusal
    const expected = watch?.expect({ user: identity.token, target })
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    const wanted = expected ? AbortSignal.any([signal, expected.stopped]) : signal
    try {
      const socket = await dialThroughSocks({ proxy: socks, auth, target }, wanted)
      const exit: Promise<Exit | undefined> =
        expected === undefined || isOnionHost(target.host)
          ? Promise.resolve(undefined)
          : expected.exit(EXIT_KNOWN_WITHIN_MS)
      void exit.finally(() => expected?.[Symbol.dispose]())
      return { socket, route: 'socks', exit: (waitMs) => within(clock, waitMs, exit) }
    } catch (error) {
      // Only this reply stands for many things; no other one is worth the wait.
      const isVague = error instanceof SocksReplyError && error.reply === 0x01
      const reason = isVague ? await expected?.failure(REASON_KNOWN_WITHIN_MS) : undefined
      expected?.[Symbol.dispose]()
      // Tor may have answered the end of a stream that we had it close before we heard of that.
      if (expected?.stopped.aborted) throw expected.stopped.reason
      throw problemOfDial(error, worker, reason)
    }
  }

  /** As `WorkerDriver.pulse` promises. */
  async pulse(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { worker, mayLoseControl } = this.#options
    const watch = this.#watch
    const asked = watch?.ask(signal)
    if (mayLoseControl) asked?.catch(() => {})
    const answers = await Promise.allSettled([mayLoseControl ? undefined : asked, this.greet(signal)])
    const [control, socks] = answers.map(({ status }) => status === 'rejected')
    const isControlSilent = control || (socks && watch?.isAsked)
    const silent = [...(isControlSilent ? ['control port'] : []), ...(socks ? ['SOCKS port'] : [])]
    if (silent.length === 0) return
    const cause = answers.find((answer) => answer.status === 'rejected')?.reason
    throw new CbtorError(
      'worker_unreachable',
      `Worker ${worker} does not answer: its ${silent.join(' and its ')} ${silent.length > 1 ? 'are' : 'is'} silent`,
      { cause },
    )
  }

  /** Has the SOCKS port answer a greeting, or rejects with why it does not. */
  async greet(signal: AbortSignal): Promise<void> {
    await greetSocks(this.#options.socks, { username: 'pulse', password: SOCKS_PASSWORD }, signal)
  }

  /** As `WorkerDriver.newCircuits` promises. */
  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    return await this.#watched('get new circuits of').newCircuits(signal)
  }

  newCircuitsActAt(): number {
    return this.#watch?.newCircuitsActAt() ?? this.#options.clock.now()
  }

  /** As `WorkerDriver.inspect` promises. */
  async inspect(signal: AbortSignal): Promise<WorkerInspection> {
    return (await this.#watch?.inspect(signal)) ?? NOTHING_KNOWN
  }

  /** As `WorkerDriver.warmUp` promises. */
  async warmUp(signal: AbortSignal): Promise<void> {
    await this.#watched('warm up').warmUp(signal)
  }

  #watched(attempt: string): ControlWatch {
    if (this.#watch !== undefined) return this.#watch
    throw new CbtorError(
      'worker_unreachable',
      `Cannot ${attempt} worker ${this.#options.worker}: its control port is out of reach`,
    )
  }
}
