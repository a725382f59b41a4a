import { CbtorError } from '../domain/errors.ts'
import type { Identity } from '../domain/identity.ts'
import { type Exit, isOnionHost, type Target } from '../domain/worker.ts'
import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { within } from '../lib/within.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { ControlEvent } from '../tor/control/events/event.ts'
import type { Stream } from '../tor/control/events/stream.ts'
import { dialThroughSocks, greetSocks, type SocksProxy } from '../tor/socks/dial.ts'
import { SocksReplyError } from '../tor/socks/errors.ts'
import { isTaken, leadsToExit } from './circuits.ts'
import type { DriverEvent, NewCircuits, WorkerConnection, WorkerInspection } from './driver.ts'
import { inspectTor } from './inspect-tor.ts'
import { type Storm, StormFuse } from './storm-fuse.ts'
import { StreamWatch } from './stream-watch.ts'
import { problemOfControl, problemOfDial } from './tor-problems.ts'
import { warmUp } from './warm-up.ts'

/** Events that tell which circuit a stream is on and why it failed. SIGNAL announces new circuits. */
const EVENTS = ['CIRC', 'STREAM', 'SIGNAL', 'STATUS_CLIENT', 'STATUS_GENERAL']

/** Isolation is by user name and password together; the user name alone carries the identity. */
const SOCKS_PASSWORD = 'cbtor'
/** What Tor's ISO_FIELDS must name for that: no torrc proves it, and no reply to a configuration does. */
const ISOLATED_BY = ['SOCKS_USERNAME', 'SOCKS_PASSWORD']

/** The event is there within a millisecond or two of the SOCKS reply; a control connection that hangs holds nobody up. */
const EXIT_KNOWN_WITHIN_MS = 5_000
const REASON_KNOWN_WITHIN_MS = 250
const INSPECTED_WITHIN_MS = 2_000

/** MAX_SIGNEWNYM_RATE in Tor's source. */
const NEW_CIRCUITS_EVERY_MS = 10_000

/** Relays whose address is remembered; the public network has some thousands of exits. */
const MAX_ADDRESSES = 10_000

const never = new AbortController().signal

export interface TorLinkOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly socks: SocksProxy
  readonly clock: Clock
  readonly onEvent: (event: DriverEvent) => void
}

/** A running Tor as a worker uses it: streams through its SOCKS port, and what its control port tells about them. */
export class TorLink {
  readonly #worker: string
  readonly #socks: SocksProxy
  readonly #clock: Clock
  readonly #onEvent: (event: DriverEvent) => void
  readonly #control: TorControl
  readonly #watch: StreamWatch
  readonly #fuse = new StormFuse()
  readonly #addresses = new Map<string, string>()
  /** Why it takes no streams at all. */
  #refusal: CbtorError | undefined
  #newCircuitsAt = 0
  #clockSkew: WorkerInspection['clockSkew']
  /** The question that Tor has not answered yet. */
  #question: Promise<unknown> | undefined

  /** Takes an authenticated control connection, which stays the caller's to close. */
  static async create(control: TorControl, options: TorLinkOptions, signal: AbortSignal): Promise<TorLink> {
    const link = new TorLink(control, options)
    control.onEvent((event) => link.#handle(event))
    await control.subscribe(EVENTS, signal)
    // After subscribing: what an event has told meanwhile is newer, and is told again.
    for (const circuit of await control.circuits(signal)) link.#watch.circuit(circuit)
    return link
  }

  private constructor(control: TorControl, options: TorLinkOptions) {
    this.#worker = options.worker
    this.#socks = options.socks
    this.#clock = options.clock
    this.#onEvent = options.onEvent
    this.#control = control
    this.#watch = new StreamWatch(
      options.clock,
      (fingerprint) => this.#addressOf(fingerprint),
      (stream) => this.#proveIsolation(stream),
    )
  }

  /** As `WorkerDriver.connect` promises. */
  async connect(target: Target, identity: Identity, signal: AbortSignal): Promise<WorkerConnection> {
    if (this.#refusal) throw this.#refusal
    const expected = this.#watch.expect(identity.token, target)
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    const wanted = AbortSignal.any([signal, expected.stopped])
    try {
      const socket = await dialThroughSocks({ proxy: this.#socks, auth, target }, wanted)
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
      // Tor may have answered the end of a stream that we had it close before we heard of that.
      if (expected.stopped.aborted) throw expected.stopped.reason
      throw problemOfDial(error, this.#worker, reason)
    }
  }

  /** As `WorkerDriver.pulse` promises. */
  async pulse(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const auth = { username: 'pulse', password: SOCKS_PASSWORD }
    const ports = ['control port', 'SOCKS port']
    const answers = await Promise.allSettled([this.#ask(signal), greetSocks(this.#socks, auth, signal)])
    const silent = ports.filter((_, n) => answers[n]?.status === 'rejected')
    if (silent.length === 0) return
    const cause = answers.find((answer) => answer.status === 'rejected')?.reason
    throw new CbtorError(
      'worker_unreachable',
      `Worker ${this.#worker} does not answer: its ${silent.join(' and its ')} ${silent.length > 1 ? 'are' : 'is'} silent`,
      { cause },
    )
  }

  /** As `WorkerDriver.newCircuits` promises. */
  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    try {
      const exitsBefore = await this.#exitsOf(isTaken, signal)
      await this.#control.newCircuits(signal)
      const actedAt = this.#newCircuitsAt
      return { actedAt, exitsBefore, exitsAfter: await this.#exitsOf((circuit) => !isTaken(circuit), signal) }
    } catch (error) {
      throw problemOfControl(error, `get new circuits of worker ${this.#worker}`)
    }
  }

  newCircuitsActAt(): number {
    return Math.max(this.#clock.now(), this.#newCircuitsAt + NEW_CIRCUITS_EVERY_MS)
  }

  /** As `WorkerDriver.inspect` promises. */
  async inspect(signal: AbortSignal): Promise<WorkerInspection> {
    using limit = deadline(this.#clock, INSPECTED_WITHIN_MS, signal, () => new Error('Tor does not tell'))
    return { ...(await inspectTor(this.#control, limit.signal)), clockSkew: this.#clockSkew }
  }

  /** As `WorkerDriver.warmUp` promises. */
  async warmUp(signal: AbortSignal): Promise<void> {
    try {
      await warmUp(this.#control, { worker: this.#worker, clock: this.#clock }, signal)
    } catch (error) {
      throw problemOfControl(error, `warm up worker ${this.#worker}`)
    }
  }

  #handle(event: ControlEvent): void {
    this.#watch.handle(event)
    const storm = this.#fuse.handle(event, this.#clock.monotonic())
    if (storm) this.#stopStorm(storm)
    else if (event.type === 'SIGNAL' && event.signal === 'NEWNYM') this.#newCircuitsAt = this.#clock.now()
    else if (event.type === 'STATUS_GENERAL' && event.action === 'CLOCK_SKEW') {
      const seconds = Number(event.values.get('SKEW'))
      if (Number.isFinite(seconds)) this.#clockSkew = { seconds, noticedAt: this.#clock.now() }
    }
  }

  #stopStorm({ streamId, circuits, ms }: Storm): void {
    const why = `Tor built ${circuits} circuits and none has an exit that takes it`
    this.#watch.stop(streamId, new CbtorError('no_usable_exit', `Cannot connect to the target: ${why}`))
    // Our hanging up ends it, too; of a stream that is gone already there is nothing to say.
    this.#control.closeStream(streamId, never).catch(() => {})
    this.#onEvent({ type: 'storm-stopped', circuits, ms: Math.round(ms) })
  }

  #proveIsolation({ id, isoFields }: Stream): void {
    const missing = ISOLATED_BY.filter((field) => !isoFields.includes(field))
    if (missing.length === 0) return
    const isNews = this.#refusal === undefined
    this.#refusal ??= new CbtorError(
      'worker_unreachable',
      `Cannot connect through worker ${this.#worker}: its Tor does not isolate streams by ${missing.join(' and ')}, so identities could share circuits. Mend its SocksPort and restart it`,
    )
    this.#watch.stop(id, this.#refusal)
    if (isNews) this.#onEvent({ type: 'isolation-missing', missing })
  }

  /** One question at a time, shared by all who ask meanwhile: a Tor that hangs must not gather them. */
  #ask(signal: AbortSignal): Promise<unknown> {
    if (this.#question === undefined) {
      this.#question = this.#control.getInfo(['version'], never).finally(() => {
        this.#question = undefined
      })
      this.#question.catch(() => {})
    }
    return abortable(this.#question, signal)
  }

  /** The exits of the built circuits that fit, each once. */
  async #exitsOf(fits: (circuit: Circuit) => boolean, signal: AbortSignal): Promise<readonly Exit[]> {
    const circuits = (await this.#control.circuits(signal)).filter(
      (circuit) => circuit.status === 'BUILT' && leadsToExit(circuit) && fits(circuit),
    )
    const exits = await Promise.all(circuits.map((circuit) => this.#watch.exitOf(circuit, EXIT_KNOWN_WITHIN_MS)))
    const byFingerprint = new Map(exits.flatMap((exit) => (exit === undefined ? [] : [[exit.fingerprint, exit]])))
    return [...byFingerprint.values()]
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
