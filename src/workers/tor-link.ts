import type { Identity } from '../domain/identity.ts'
import { type Exit, isOnionHost, type Target } from '../domain/worker.ts'
import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { within } from '../lib/within.ts'
import type { TorControl } from '../tor/control/client.ts'
import { dialThroughSocks, type SocksProxy } from '../tor/socks/dial.ts'
import { SocksReplyError } from '../tor/socks/errors.ts'
import type { WorkerConnection } from './driver.ts'
import { StreamWatch } from './stream-watch.ts'
import { problemOfDial } from './tor-problems.ts'

/** Events that tell which circuit a stream is on and why it failed. SIGNAL announces new circuits. */
const EVENTS = ['CIRC', 'STREAM', 'SIGNAL', 'STATUS_CLIENT', 'STATUS_GENERAL']

/** Isolation is by user name and password together; the user name alone carries the identity. */
const SOCKS_PASSWORD = 'cbtor'

/** The event is there within a millisecond or two of the SOCKS reply; a control connection that hangs holds nobody up. */
const EXIT_KNOWN_WITHIN_MS = 5_000
const REASON_KNOWN_WITHIN_MS = 250

/** Relays whose address is remembered; the public network has some thousands of exits. */
const MAX_ADDRESSES = 10_000

export interface TorLinkOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly socks: SocksProxy
  readonly clock: Clock
}

/** A running Tor as a worker uses it: streams through its SOCKS port, and what its control port tells about them. */
export class TorLink {
  readonly #worker: string
  readonly #socks: SocksProxy
  readonly #clock: Clock
  readonly #control: TorControl
  readonly #watch: StreamWatch
  readonly #addresses = new Map<string, string>()

  /** Takes an authenticated control connection, which stays the caller's to close. */
  static async create(control: TorControl, options: TorLinkOptions, signal: AbortSignal): Promise<TorLink> {
    const link = new TorLink(control, options)
    control.onEvent((event) => link.#watch.handle(event))
    await control.subscribe(EVENTS, signal)
    // After subscribing: what an event has told meanwhile is newer, and is told again.
    for (const circuit of await control.circuits(signal)) link.#watch.circuit(circuit)
    return link
  }

  private constructor(control: TorControl, options: TorLinkOptions) {
    this.#worker = options.worker
    this.#socks = options.socks
    this.#clock = options.clock
    this.#control = control
    this.#watch = new StreamWatch(options.clock, (fingerprint) => this.#addressOf(fingerprint))
  }

  /** As `WorkerDriver.connect` promises. */
  async connect(target: Target, identity: Identity, signal: AbortSignal): Promise<WorkerConnection> {
    const expected = this.#watch.expect(identity.token, target)
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    try {
      const socket = await dialThroughSocks({ proxy: this.#socks, auth, target }, signal)
      const exit: Promise<Exit | undefined> = isOnionHost(target.host)
        ? Promise.resolve(undefined)
        : expected.exit(EXIT_KNOWN_WITHIN_MS)
      void exit.finally(() => expected[Symbol.dispose]())
      return { socket, route: 'socks', exit: (waitMs) => within(this.#clock, waitMs, exit) }
    } catch (error) {
      // Only this reply stands for many things; no other one is worth the wait.
      const isVague = error instanceof SocksReplyError && error.reply === 0x01
      const reason = isVague ? await expected.failure(REASON_KNOWN_WITHIN_MS) : undefined
      expected[Symbol.dispose]()
      throw problemOfDial(error, this.#worker, reason)
    }
  }

  async #addressOf(fingerprint: string): Promise<string | undefined> {
    const known = this.#addresses.get(fingerprint)
    if (known !== undefined) return known
    using limit = deadline(this.#clock, EXIT_KNOWN_WITHIN_MS, undefined, () => new Error('Tor does not tell'))
    const address = (await this.#control.relay(fingerprint, limit.signal))?.address
    if (this.#addresses.size >= MAX_ADDRESSES) this.#addresses.clear()
    if (address !== undefined) this.#addresses.set(fingerprint, address)
    return address
  }
}
