import { CbtorError } from '../domain/errors.ts'
import type { Exit, PathRelay } from '../domain/worker.ts'
import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { ControlError } from '../tor/control/errors.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { ControlEvent } from '../tor/control/events/event.ts'
import type { Stream } from '../tor/control/events/stream.ts'
import { CircuitBook } from './circuit-book.ts'
import { CircuitBudget, UNLIMITED } from './circuit-budget.ts'
import { CircuitOrders } from './circuit-orders.ts'
import { CircuitStock, type CircuitSupply, STOCK_POLICY } from './circuit-stock.ts'
import { leadsToExit } from './circuits.ts'
import type { CircuitFigures, DriverEvent, NewCircuits, WorkerInspection } from './driver.ts'
import { inspectTor, type RelayPlaces } from './inspect-tor.ts'
import { type Storm, StormFuse } from './storm-fuse.ts'
import { type ExpectedStream, type RelayPlace, type StreamKey, StreamWatch } from './stream-watch.ts'
import { problemOfControl } from './tor-problems.ts'

/** Events that tell which circuit a stream is on and why it failed. SIGNAL announces new circuits. */
const EVENTS = ['CIRC', 'CIRC_MINOR', 'STREAM', 'SIGNAL', 'STATUS_CLIENT', 'STATUS_GENERAL']

/**
 * What Tor's ISO_FIELDS must name for identities to be kept apart, by the port on which a stream came: no torrc proves it, and
 * no reply to a configuration does.
 */
const ISOLATED_BY = { socks: ['SOCKS_USERNAME', 'SOCKS_PASSWORD'], trans: ['CLIENTADDR'] } as const

const EXIT_KNOWN_WITHIN_MS = 5_000
const INSPECTED_WITHIN_MS = 2_000

/** So many circuits a warm worker has for identities to come. */
const WARM_CIRCUITS = 2
const WARM_WITHIN_MS = 30_000

/** MAX_SIGNEWNYM_RATE in Tor's source. */
const NEW_CIRCUITS_EVERY_MS = 10_000

/** Relays whose place is remembered; the public network has some thousands of exits. */
const MAX_PLACES = 10_000

const never = new AbortController().signal

export interface ControlWatchOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly clock: Clock
  readonly onEvent: (event: DriverEvent) => void
  /** How circuits are built ahead, and the budget for them; of its own and without a limit, unless told. */
  readonly circuits?: CircuitSupply
  readonly random?: Random
}

/** What a Tor's control port tells about its streams and circuits, and what it takes orders for. */
export class ControlWatch {
  /** What lets streams of new identities go. */
  readonly stock: CircuitStock
  readonly #worker: string
  readonly #clock: Clock
  readonly #onEvent: (event: DriverEvent) => void
  readonly #control: TorControl
  readonly #watch: StreamWatch
  readonly #fuse = new StormFuse()
  readonly #book = new CircuitBook()
  readonly #orders: CircuitOrders
  readonly #places = new Map<string, RelayPlace>()
  #refusal: CbtorError | undefined
  #newCircuitsAt = 0
  #clockSkew: WorkerInspection['clockSkew']
  #lacksRelays = false
  #built = 0
  #failed = 0
  /** The question that Tor has not answered yet. */
  #question: Promise<unknown> | undefined

  /** Takes an authenticated control connection, which stays the caller's to close. */
  static async create(control: TorControl, options: ControlWatchOptions, signal: AbortSignal): Promise<ControlWatch> {
    const watch = new ControlWatch(control, options)
    control.onEvent((event) => watch.#handle(event))
    await control.subscribe(EVENTS, signal)
    // After subscribing: what an event has told meanwhile is newer, and is told again.
    for (const circuit of await control.circuits(signal)) watch.#adopt(circuit)
    control.onClose(() => watch.stock[Symbol.dispose]())
    return watch
  }

  private constructor(control: TorControl, options: ControlWatchOptions) {
    this.#worker = options.worker
    this.#clock = options.clock
    this.#onEvent = options.onEvent
    this.#control = control
    this.#watch = new StreamWatch(
      options.clock,
      (fingerprint) => this.#placeOf(fingerprint),
      (stream) => this.#proveIsolation(stream),
    )
    const { clock, worker, random = systemRandom } = options
    const { budget, policy } = options.circuits ?? { budget: new CircuitBudget(clock, UNLIMITED), policy: STOCK_POLICY }
    this.#orders = new CircuitOrders(control, clock)
    this.stock = new CircuitStock({
      ...{ worker, policy, clock, random, book: this.#book, orders: this.#orders },
      account: budget.account(),
    })
  }

  /** Why it takes no streams at all: it does not keep identities apart. */
  get refusal(): CbtorError | undefined {
    return this.#refusal
  }

  /** Whether Tor has said that it knows too few relays for a circuit: none at all, or none that its torrc lets it use. */
  get lacksRelays(): boolean {
    return this.#lacksRelays
  }

  /** Whether a question is waiting for its answer: then events may be late, too. */
  get isAsked(): boolean {
    return this.#question !== undefined
  }

  get figures(): CircuitFigures {
    return { open: this.#watch.built, clean: this.#book.clean, built: this.#built, failed: this.#failed }
  }

  onClose(listener: (reason: ControlError) => void): Disposable {
    return this.#control.onClose(listener)
  }

  expect(stream: StreamKey): ExpectedStream {
    return this.#watch.expect(stream)
  }

  /** A circuit by its id, as the newest event has it; undefined when it is gone. */
  circuit(id: string): Circuit | undefined {
    return this.#watch.circuitOf(id)
  }

  /** Where a circuit leaves Tor. Never rejects. */
  exitOf(circuit: Circuit): Promise<Exit | undefined> {
    return this.#watch.exitOf(circuit, EXIT_KNOWN_WITHIN_MS)
  }

  /** The relays of a circuit, with their countries where they are known. Never rejects. */
  pathOf(circuit: Circuit): Promise<readonly PathRelay[]> {
    return this.#watch.pathOf(circuit, EXIT_KNOWN_WITHIN_MS)
  }

  /** Asks what costs Tor nothing. One question at a time, shared by all who ask meanwhile: a Tor that hangs must not gather them. */
  ask(signal: AbortSignal): Promise<unknown> {
    if (this.#question === undefined) {
      this.#question = this.#control.getInfo(['version'], never).finally(() => {
        this.#question = undefined
      })
      this.#question.catch(() => {})
    }
    return abortable(this.#question, signal)
  }

  /** As `WorkerDriver.newCircuits` promises. */
  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    try {
      const exitsBefore = await this.#exitsOf((circuit) => this.#isTaken(circuit), signal)
      await this.#control.newCircuits(signal)
      const actedAt = this.#newCircuitsAt
      const exitsAfter = await this.#exitsOf((circuit) => !this.#isTaken(circuit), signal)
      return { actedAt, exitsBefore, exitsAfter }
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
    const isOurs = (circuit: Circuit) => this.#isTaken(circuit)
    const places: RelayPlaces = (fingerprint, until) =>
      abortable(this.#placeOf(fingerprint), until).catch(() => undefined)
    return { ...(await inspectTor(this.#control, isOurs, places, limit.signal)), clockSkew: this.#clockSkew }
  }

  /** As `WorkerDriver.warmUp` promises. */
  async warmUp(signal: AbortSignal): Promise<void> {
    const late = () =>
      new CbtorError(
        'tor_timeout',
        `Cannot warm up worker ${this.#worker}: its Tor has ${this.stock.available} of ${WARM_CIRCUITS} circuits after ${WARM_WITHIN_MS} ms`,
      )
    using limit = deadline(this.#clock, WARM_WITHIN_MS, signal, late)
    const ended = new AbortController()
    using _close = this.#control.onClose((reason) => ended.abort(reason))
    const wanted = AbortSignal.any([limit.signal, ended.signal])
    try {
      await this.ask(wanted)
      await this.stock.warm(WARM_CIRCUITS, wanted)
    } catch (error) {
      throw problemOfControl(error, `warm up worker ${this.#worker}`)
    }
  }

  #isTaken({ id, socksUsername }: Circuit): boolean {
    return socksUsername !== undefined || this.#book.isTaken(id)
  }

  #adopt(circuit: Circuit): void {
    this.#watch.circuit(circuit)
    this.#book.adopt(circuit)
    this.stock.adopt(circuit)
  }

  #handle(event: ControlEvent): void {
    this.#watch.handle(event)
    if (event.type === 'CIRC' && event.status === 'BUILT') this.#built++
    if (event.type === 'CIRC' && event.status === 'FAILED') this.#failed++
    // Those that we have ordered are no storm of Tor's.
    const isOurs = event.type === 'CIRC' && this.#orders.isOurs(event.id)
    const storm = isOurs ? undefined : this.#fuse.handle(event, this.#clock.monotonic())
    this.#book.handle(event)
    this.stock.handle(event)
    if (storm) this.#stopStorm(storm)
    else if (event.type === 'SIGNAL' && event.signal === 'NEWNYM') this.#newCircuitsAt = this.#clock.now()
    else if (event.type === 'STATUS_CLIENT') this.#heard(event.action)
    else if (event.type === 'STATUS_GENERAL' && event.action === 'CLOCK_SKEW') {
      const seconds = Number(event.values.get('SKEW'))
      if (Number.isFinite(seconds)) this.#clockSkew = { seconds, noticedAt: this.#clock.now() }
    }
  }

  #heard(action: string): void {
    if (action === 'NOT_ENOUGH_DIR_INFO') this.#lacksRelays = true
    else if (action === 'ENOUGH_DIR_INFO') this.#lacksRelays = false
  }

  #stopStorm({ streamId, circuits, ms }: Storm): void {
    const why = `Tor built ${circuits} circuits and none has an exit that takes it`
    this.#watch.stop(streamId, new CbtorError('no_usable_exit', `Cannot connect to the target: ${why}`))
    // Our hanging up ends it, too; of a stream that is gone already there is nothing to say.
    this.#control.closeStream(streamId, never).catch(() => {})
    this.#onEvent({ type: 'storm-stopped', circuits, ms: Math.round(ms) })
  }

  #proveIsolation({ id, clientProtocol, isoFields }: Stream): void {
    const isTransparent = clientProtocol === 'TRANS'
    const missing = ISOLATED_BY[isTransparent ? 'trans' : 'socks'].filter((field) => !isoFields.includes(field))
    if (missing.length === 0) return
    const isNews = this.#refusal === undefined
    this.#refusal ??= new CbtorError(
      'worker_unreachable',
      `Cannot connect through worker ${this.#worker}: its Tor does not isolate streams by ${missing.join(' and ')}, so identities could share circuits. Mend its ${isTransparent ? 'TransPort' : 'SocksPort'} and restart it`,
    )
    this.#watch.stop(id, this.#refusal)
    if (isNews) this.#onEvent({ type: 'isolation-missing', missing })
  }

  /** The exits of the built circuits that fit, each once. */
  async #exitsOf(fits: (circuit: Circuit) => boolean, signal: AbortSignal): Promise<readonly Exit[]> {
    const circuits = (await this.#control.circuits(signal)).filter(
      (circuit) => circuit.status === 'BUILT' && leadsToExit(circuit) && fits(circuit),
    )
    const exits = await Promise.all(circuits.map((circuit) => this.exitOf(circuit)))
    const byFingerprint = new Map(exits.flatMap((exit) => (exit === undefined ? [] : [[exit.fingerprint, exit]])))
    return [...byFingerprint.values()]
  }

  async #placeOf(fingerprint: string): Promise<RelayPlace | undefined> {
    const known = this.#places.get(fingerprint)
    if (known !== undefined) return known
    using limit = deadline(this.#clock, EXIT_KNOWN_WITHIN_MS, undefined, () => new Error('Tor does not tell'))
    const address = (await this.#control.relay(fingerprint, limit.signal))?.address
    if (address === undefined) return undefined
    const country = (await this.#control.countries([address], limit.signal).catch(() => undefined))?.get(address)
    const place = { address, ...(country !== undefined && { country }) }
    if (this.#places.size >= MAX_PLACES) this.#places.clear()
    this.#places.set(fingerprint, place)
    return place
  }
}
