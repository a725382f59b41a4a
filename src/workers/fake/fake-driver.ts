import { isIPv6, type Socket } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import type { Target } from '../../domain/worker.ts'
import { deadline } from '../../lib/abort.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import {
  type CircuitFigures,
  type ConnectOptions,
  type DriverEvent,
  type InspectedCircuit,
  type NewCircuits,
  NOTHING_KNOWN,
  type WorkerConnection,
  type WorkerDriver,
  type WorkerInspection,
  type WorkerObservation,
} from '../driver.ts'
import { type FakeExit, FakeExits } from './fake-exits.ts'
import { FakeNetwork } from './fake-network.ts'
import { Gate } from './gate.ts'

/** What answers at the far end of a fake worker, by `host:port`. It gets the target's side of the connection. */
export type FakeTargets = ReadonlyMap<string, (socket: Socket) => void>

export interface FakeDriverOptions {
  readonly id: string
  /** A host that is named here with another port refuses the connection; one that is not does not resolve. */
  readonly targets: FakeTargets
  /** None of them has IPv6: a target with an address of that kind causes a storm. */
  readonly exits: readonly FakeExit[]
  readonly clock?: Clock
}

const NEW_CIRCUITS_EVERY_MS = 10_000
const INSPECTED_WITHIN_MS = 2_000

/** Those in front of the exits. */
const RELAYS = [
  { nickname: 'guard', fingerprint: 'D'.repeat(40), address: '198.51.100.17', country: 'nl' },
  { nickname: 'middle', fingerprint: 'E'.repeat(40), address: '198.51.100.80', country: 'se' },
]

/** A worker without Tor, for unit tests. Keeps the driver's promise: it passes the same contract suite as the real ones. */
export class FakeDriver implements WorkerDriver {
  readonly id: string
  readonly kind = 'fake'
  readonly #targets: FakeTargets
  readonly #exits: FakeExits
  readonly #clock: Clock
  readonly #network = new FakeNetwork()
  readonly #listeners = new Set<(event: DriverEvent) => void>()
  /** Resolves when the worker answers again, and when relays can be reached again. */
  readonly #thawed = new Gate()
  readonly #reachable = new Gate()
  #state: WorkerObservation['process'] = 'stopped'
  #problem: string | undefined
  #failNextWith: CbtorError | undefined
  #isIsolating = true
  #refusal: CbtorError | undefined
  #warmCircuits = 0
  #newCircuitsAt = 0

  constructor(options: FakeDriverOptions) {
    this.id = options.id
    this.#targets = options.targets
    this.#exits = new FakeExits(options.id, options.exits)
    this.#clock = options.clock ?? systemClock
  }

  observe(): WorkerObservation {
    const isUp = this.#state === 'running'
    return {
      process: this.#state,
      pid: undefined,
      bootstrap: { progress: isUp ? 100 : 0, tag: isUp ? 'done' : 'starting', summary: isUp ? 'Done' : 'Starting' },
      torVersion: undefined,
      startedAt: undefined,
      problem: this.#problem,
    }
  }

  circuits(): CircuitFigures | undefined {
    if (this.#state !== 'running') return undefined
    const open = this.#warmCircuits + this.#exits.inUse.size
    return { open, clean: this.#warmCircuits, built: open, failed: 0 }
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#state === 'running') return
    this.#state = 'running'
    this.#problem = undefined
    this.#isIsolating = true
    this.#refusal = undefined
    this.#exits.renew()
    this.#newCircuitsAt = 0
    this.#tell({ type: 'progressed', progress: 100 })
  }

  async stop(): Promise<void> {
    this.#end('stopped')
  }

  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    { earlyData }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    await this.#answering('connect through', signal)
    if (!this.#isIsolating) throw this.#refuse()
    await this.#reachable.pass(signal)
    const failure = this.#failNextWith
    this.#failNextWith = undefined
    if (failure) throw failure
    if (isIPv6(target.host) && !identity.exit) {
      this.#tell({ type: 'storm-stopped', circuits: 6, ms: 0 })
      throw new CbtorError('no_usable_exit', 'Cannot connect to the target: no exit takes it')
    }
    const exit = this.#exits.assign(identity, target.host)
    const answer = this.#targets.get(`${target.host}:${target.port}`)
    if (answer === undefined) {
      const isKnown = [...this.#targets.keys()].some((name) => name.startsWith(`${target.host}:`))
      throw isKnown
        ? new CbtorError('connection_refused', 'Cannot connect to the target: it refused the connection')
        : new CbtorError('resolve_failed', 'Cannot connect to the target: its name does not resolve')
    }
    const [socket, far] = await this.#network.connect()
    answer(far)
    if (earlyData) socket.write(earlyData)
    return { socket, route: 'socks', exit: async () => exit }
  }

  async resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    await this.#answering('resolve through', signal)
    await this.#reachable.pass(signal)
    if (identity.exit) this.#exits.assign(identity, host)
    if ([...this.#targets.keys()].some((name) => name.startsWith(`${host}:`))) return '198.51.100.1'
    throw new CbtorError('resolve_failed', 'Cannot resolve the name: it does not exist')
  }

  forget(identity: Identity): void {
    this.#exits.forget(identity.token)
  }

  async pulse(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    try {
      await this.#answering('feel the pulse of', signal)
    } catch (cause) {
      const silence = `Worker ${this.id} does not answer: its control port and its SOCKS port are silent`
      throw new CbtorError('worker_unreachable', silence, { cause })
    }
  }

  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    await this.#answering('get new circuits of', signal)
    const exitsBefore = [...new Set([...this.#exits.inUse.values()].filter((exit) => exit !== undefined))]
    await this.#clock.sleep(this.newCircuitsActAt() - this.#clock.now(), signal)
    const actedAt = this.#clock.now()
    this.#newCircuitsAt = actedAt
    this.#exits.renew()
    return { actedAt, exitsBefore, exitsAfter: this.#freeExits().filter((exit) => exit !== undefined) }
  }

  newCircuitsActAt(): number {
    return Math.max(this.#clock.now(), this.#newCircuitsAt + NEW_CIRCUITS_EVERY_MS)
  }

  async inspect(signal: AbortSignal): Promise<WorkerInspection> {
    using limit = deadline(this.#clock, INSPECTED_WITHIN_MS, signal, () => new Error('the fake worker hangs'))
    try {
      await this.#answering('inspect', limit.signal)
    } catch {
      return NOTHING_KNOWN
    }
    const free = this.#freeExits().map((exit, n) => this.#circuit(`${1 + n}`, exit, false))
    const taken = [...this.#exits.inUse.values()].map((exit, n) => this.#circuit(`${100 + n}`, exit, true))
    return { ...NOTHING_KNOWN, torVersion: '0.0.0.0', circuits: [...free, ...taken] }
  }

  async warmUp(signal: AbortSignal): Promise<void> {
    await this.#answering('warm up', signal)
    await this.#reachable.pass(signal)
    this.#warmCircuits = 2
  }

  onEvent(listener: (event: DriverEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Makes the next `connect` fail with `error`. */
  failNextWith(error: CbtorError): void {
    this.#failNextWith = error
  }

  /** Ends the worker as a crash would. */
  kill(reason = 'tor was killed'): void {
    if (this.#state !== 'running') return
    this.#problem = reason
    this.#end('exited')
    this.#tell({ type: 'lost', reason })
  }

  /** Hangs, as a process under SIGSTOP does: answers nothing, carries nothing, and ends nothing. */
  freeze(): void {
    this.#thawed.close()
    this.#holdUp()
  }

  thaw(): void {
    this.#thawed.open()
    this.#holdUp()
  }

  /** Loses every relay without a word, or finds them again. The worker itself goes on answering. */
  blackhole(on: boolean): void {
    if (on) this.#reachable.close()
    else this.#reachable.open()
    this.#holdUp()
  }

  /** From the next stream on, identities would share circuits: as with a SocksPort that somebody has changed. */
  loseIsolation(): void {
    this.#isIsolating = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('stopped')
    this.#listeners.clear()
    await this.#network[Symbol.asyncDispose]()
  }

  #end(state: 'stopped' | 'exited'): void {
    this.#state = state
    this.#exits.renew()
    this.#warmCircuits = 0
    this.#network.cut()
    // A process that is gone does not hang; the next one is another.
    this.thaw()
  }

  #holdUp(): void {
    this.#network.holdUp(!(this.#thawed.isOpen && this.#reachable.isOpen))
  }

  /** Resolves when the worker is up and answers. */
  async #answering(attempt: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#requireRunning(attempt)
    await this.#thawed.pass(signal)
    this.#requireRunning(attempt)
  }

  #requireRunning(attempt: string): void {
    if (this.#state === 'running') return
    throw new CbtorError('worker_unreachable', `Cannot ${attempt} worker ${this.id}: it is not running`)
  }

  #refuse(): CbtorError {
    if (this.#refusal === undefined) {
      this.#refusal = new CbtorError(
        'worker_unreachable',
        `Cannot connect through worker ${this.id}: it does not isolate streams by SOCKS_USERNAME and SOCKS_PASSWORD`,
      )
      this.#tell({ type: 'isolation-missing', missing: ['SOCKS_USERNAME', 'SOCKS_PASSWORD'] })
    }
    return this.#refusal
  }

  #tell(event: DriverEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }

  #freeExits(): (FakeExit | undefined)[] {
    return Array.from({ length: this.#warmCircuits }, (_, n) => this.#exits.free(n))
  }

  #circuit(id: string, exit: FakeExit | undefined, isTaken: boolean): InspectedCircuit {
    const path = exit === undefined ? RELAYS : [...RELAYS, exit]
    return { id, status: 'BUILT', purpose: 'GENERAL', path, createdAt: undefined, isTaken }
  }
}
