import type { PortAddress } from '../../cluster/worker-port/secured.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import type { Target } from '../../domain/worker.ts'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { Listeners } from '../../lib/listeners.ts'
import type { Logger } from '../../lib/log.ts'
import { type Random, systemRandom } from '../../lib/random.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import { NOT_BOOTSTRAPPED } from '../../tor/process/tor-log.ts'
import {
  type CircuitFigures,
  type ConnectOptions,
  type DriverEvent,
  type NewCircuits,
  NOTHING_KNOWN,
  type WorkerConnection,
  type WorkerDriver,
  type WorkerInspection,
  type WorkerObservation,
} from '../driver.ts'
import { ComingUp, type ComingUpLimits } from './coming-up.ts'
import { PeerUnreachable } from './dial.ts'
import { inspected, newCircuitsDone, type Order, type PeerState, resolved } from './messages.ts'
import { PeerLine, type PeerLineListener, unreachable } from './peer-line.ts'

export interface PeerDriverOptions {
  /** The same as at the replica that has the worker. */
  readonly id: string
  /** The replica that has it, and where its worker port is now: asked at each start. Undefined while nobody knows. */
  readonly replica: string
  at(): PortAddress | undefined
  /** Our own name. */
  readonly self: string
  /** Of `workerPortKey`. */
  readonly key: Buffer
  readonly clock: Clock
  readonly random?: Random
  readonly logger: Logger
  readonly limits?: Partial<PeerLimits>
}

export interface PeerLimits extends ComingUpLimits {
  /** For a connection to the worker port and its handshake. */
  readonly dialWithinMs: number
  /** For the first answer, too. */
  readonly answeredWithinMs: number
}

const LIMITS: PeerLimits = {
  dialWithinMs: 3_000,
  answeredWithinMs: 5_000,
  upWithinMs: 60_000,
  heardWithinMs: 10_000,
}
const INSPECTED_WITHIN_MS = 2_000

/**
 * A local worker of another replica, through the worker port of that one. Whoever has the worker starts, stops and heals it: `start`
 * turns to it and waits until it is up; `stop` lets go of it and ends our connections through it. It is lost when its Tor is, when its
 * replica goes, or says nothing for 6 s.
 */
export class PeerDriver implements WorkerDriver {
  readonly id: string
  readonly kind = 'peer'
  readonly replica: string
  readonly #options: PeerDriverOptions
  readonly #limits: PeerLimits
  readonly #listeners: Listeners<DriverEvent>
  readonly #starts = new SharedRun<void>((signal) => this.#turnTo(signal))
  #line: PeerLine | undefined
  #problem: string | undefined
  #newCircuitsAt = 0

  constructor(options: PeerDriverOptions) {
    const { id, replica, logger } = options
    this.id = id
    this.replica = replica
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#listeners = new Listeners((err) => logger.error({ err }, 'A listener of a worker failed'))
  }

  /** Its process is another machine's: there is no id of it here. */
  observe(): WorkerObservation {
    const line = this.#line
    if (line === undefined) {
      const process = this.#starts.isRunning ? 'starting' : this.#problem ? 'exited' : 'stopped'
      return {
        ...{ process, pid: undefined, bootstrap: NOT_BOOTSTRAPPED, torVersion: undefined, startedAt: undefined },
        problem: this.#problem,
      }
    }
    const { process, bootstrap, torVersion, upMs, problem } = line.state
    const startedAt = upMs === undefined ? undefined : line.stateAt - upMs
    return { process, pid: undefined, bootstrap, torVersion, startedAt, problem }
  }

  circuits(): CircuitFigures | undefined {
    return this.#line?.state.circuits
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#starts.join(signal)
  }

  async stop(_signal: AbortSignal): Promise<void> {
    await this.#starts.cancel(
      new CbtorError('worker_unreachable', `Cannot start worker ${this.id}: it was stopped meanwhile`),
    )
    this.#letGo(undefined)
  }

  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: ConnectOptions,
  ): Promise<WorkerConnection> {
    signal.throwIfAborted()
    return await this.#linked('connect through').connect(target, identity, signal, options)
  }

  async resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const line = this.#linked('resolve through')
    return this.#read(resolved, await line.ask({ op: 'resolve', host, identity }, signal)).address
  }

  forget(identity: Identity): void {
    this.#line?.forget(identity)
  }

  async pulse(signal: AbortSignal): Promise<void> {
    await this.#linked('feel the pulse of').ask({ op: 'pulse' }, signal, { isPatient: true })
  }

  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    const line = this.#linked('get new circuits of')
    const done = this.#read(newCircuitsDone, await line.ask({ op: 'new-circuits' }, signal))
    const now = this.#options.clock.now()
    this.#newCircuitsAt = now + done.actInMs
    return { actedAt: now - done.actedAgoMs, exitsBefore: done.exitsBefore, exitsAfter: done.exitsAfter }
  }

  newCircuitsActAt(): number {
    return Math.max(this.#options.clock.now(), this.#newCircuitsAt)
  }

  async inspect(signal: AbortSignal): Promise<WorkerInspection> {
    const late = () => new Error('its replica does not answer')
    using limit = deadline(this.#options.clock, INSPECTED_WITHIN_MS, signal, late)
    try {
      return this.#read(inspected, await this.#line?.ask({ op: 'inspect' }, limit.signal))
    } catch {
      return NOTHING_KNOWN
    }
  }

  async warmUp(signal: AbortSignal): Promise<void> {
    await this.#linked('warm up').ask({ op: 'warm-up' }, signal)
  }

  /** Has its replica restart its Tor, which ends what goes through it. Rejects as the same order there does. */
  async restart(signal: AbortSignal): Promise<void> {
    await this.#give({ op: 'restart' }, signal)
  }

  onEvent(listener: (event: DriverEvent) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(new AbortController().signal)
  }

  /** Over a way of its own, as the order may end the one that there is. */
  async #give(order: Order, signal: AbortSignal): Promise<void> {
    const { id, replica } = this.#options
    const cannot = `give orders to worker ${id}`
    try {
      const ended = Promise.withResolvers<never>()
      const onLost = (reason: string) => ended.reject(new PeerUnreachable(reason))
      using line = await this.#open({ onEvent() {}, onState() {}, onLost }, cannot, signal)
      await Promise.race([line.ask(order, signal), ended.promise])
    } catch (error) {
      throw unreachable(cannot, replica, error)
    }
  }

  async #turnTo(signal: AbortSignal): Promise<void> {
    if (this.#line !== undefined) return
    const { id, replica, clock } = this.#options
    this.#problem = undefined
    const cannot = `start worker ${id}`
    const isDown = (why: string) => this.#unusable(cannot, `its Tor at replica ${replica} is ${why}`)
    using coming = new ComingUp(clock, this.#limits, isDown)
    try {
      const line = await this.#open(
        {
          onEvent: (event) => this.#told(event),
          onState: (state) => (this.#line === undefined ? coming.look(state) : this.#changed(state)),
          onLost: (reason) => {
            coming.fail(new PeerUnreachable(reason))
            this.#lost(`replica ${replica} is lost: ${reason}`)
          },
        },
        cannot,
        signal,
      )
      using ends = new DisposableStack()
      ends.use(line)
      coming.look(line.state)
      await coming.done(signal)
      if (line.isOver || line.state.process !== 'running') throw isDown('down again')
      this.#line = line
      ends.move()
      this.#newCircuitsAt = line.stateAt + line.state.actInMs
      this.#listeners.notify({ type: 'progressed', progress: 100 })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const problem = unreachable(cannot, replica, error)
      if (problem instanceof CbtorError) this.#problem = problem.message
      throw problem
    }
  }

  /** `cannot` goes on "Cannot ". */
  async #open(told: PeerLineListener, cannot: string, signal: AbortSignal): Promise<PeerLine> {
    const { id, replica, self, key, clock, random = systemRandom } = this.#options
    const { dialWithinMs, answeredWithinMs } = this.#limits
    const at = this.#options.at()
    if (at === undefined) throw this.#unusable(cannot, `replica ${replica} is not there`)
    using limit = deadline(clock, answeredWithinMs, signal, () => new PeerUnreachable('it does not answer'))
    const options = { at, key, clock, random, withinMs: dialWithinMs, worker: id, to: replica, from: self }
    return await PeerLine.open({ ...options, ...told }, limit.signal)
  }

  #told(event: DriverEvent): void {
    if (event.type === 'lost') this.#lost(event.reason)
    // Its next start is told of to who waits for it.
    else if (event.type === 'progressed' ? this.#starts.isRunning : this.#line !== undefined)
      this.#listeners.notify(event)
  }

  #changed({ process, problem, actInMs }: PeerState): void {
    const { clock, replica } = this.#options
    this.#newCircuitsAt = clock.now() + actInMs
    if (process !== 'running') this.#lost(`its Tor at replica ${replica} is ${problem ?? process}`)
  }

  #lost(reason: string): void {
    if (this.#line === undefined) return
    this.#letGo(reason)
    this.#listeners.notify({ type: 'lost', reason })
  }

  #letGo(problem: string | undefined): void {
    const line = this.#line
    this.#line = undefined
    this.#problem = problem
    line?.[Symbol.dispose]()
  }

  /** `attempt` goes on "Cannot ". */
  #linked(attempt: string): PeerLine {
    if (this.#line !== undefined) return this.#line
    throw this.#unusable(`${attempt} worker ${this.id}`, this.#problem ?? `it is not turned to`)
  }

  #unusable(attempt: string, why: string): CbtorError {
    return new CbtorError('worker_unreachable', `Cannot ${attempt}: ${why}`)
  }

  #read<T>(schema: { parse(value: unknown): T }, value: unknown): T {
    try {
      return schema.parse(value)
    } catch (cause) {
      const why = `replica ${this.replica} answers what this version does not understand`
      throw new CbtorError('worker_unreachable', `Cannot use worker ${this.id}: ${why}`, { cause })
    }
  }
}
