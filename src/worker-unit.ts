import type { WorkerView } from './api/views.ts'
import { CbtorError } from './domain/errors.ts'
import type { Identity } from './domain/identity.ts'
import { PROBLEMS, type ProblemCode } from './domain/problems.ts'
import { type DesiredState, type Reach, reachOf, type Target, type WorkerName } from './domain/worker.ts'
import { Monitor, type MonitorOptions } from './health/monitor.ts'
import type { MonitorEvent, ProbeResult } from './health/monitored.ts'
import type { HealthPolicy } from './health/policy.ts'
import type { RecoveryAttempt } from './health/recovery.ts'
import type { SharedWatch } from './health/shared-watch.ts'
import { abortable, deadline } from './lib/abort.ts'
import { recoverWorker } from './worker-recovery.ts'
import type {
  CircuitFigures,
  ConnectOptions,
  DriverEvent,
  HostInspection,
  NewCircuits,
  WorkerConnection,
  WorkerDriver,
  WorkerInspection,
} from './workers/driver.ts'
import type { OfferedWorker } from './workers/peer/offered-worker.ts'

const WARM_UP_LIMIT_MS = 10_000
const ORDER_TICK_MS = 10_000
/** Longer than a lease lasts: whoever had it has let it go by then, or is dead. */
const SEIZED_WITHIN_MS = 10_000

export interface WorkerUnitOptions extends Required<Omit<MonitorOptions, 'onEvent' | 'shared'>> {
  readonly name: WorkerName
  readonly driver: WorkerDriver
  /** For a worker that other gateways reach, too. */
  readonly shared?: SharedWatch | undefined
  /** Fetches check endpoints through the worker, whatever its state. */
  probe(signal: AbortSignal): Promise<ProbeResult>
  /** Told of everything that happens to the worker. Must not throw. */
  onEvent(event: MonitorEvent | DriverEvent): void
}

/** One worker with all that belongs to it: its driver, the watch over its health, and what it has done. */
export class WorkerUnit implements AsyncDisposable {
  readonly name: WorkerName
  readonly #options: WorkerUnitOptions
  readonly #driver: WorkerDriver
  readonly #monitor: Monitor
  /** Ends with the service: orders outlast the request that gave them. */
  readonly #life = new AbortController()
  #watch: Promise<void> | undefined
  #desired: DesiredState
  #ordersGiven = 0
  /** The last order: settles when it and all before it are done. */
  #orders: Promise<void> = Promise.resolve()
  #lastCheck: WorkerView['lastCheck']
  #requests = 0
  #failures = 0

  constructor(options: WorkerUnitOptions) {
    const { name, driver, desired } = options
    const { host } = driver
    this.name = name
    this.#options = options
    this.#driver = driver
    this.#desired = desired
    const monitored = {
      probe: (signal: AbortSignal) => this.#probe(signal),
      pulse: (signal: AbortSignal) => driver.pulse(signal),
      isGone: () => ['stopped', 'exited'].includes(driver.observe().process),
      recover: (attempt: RecoveryAttempt, signal: AbortSignal) =>
        recoverWorker(driver, (limit) => this.#probe(limit), attempt, signal),
      ...(host && {
        canReboot: (signal: AbortSignal) => host.reach(signal),
        reboot: (signal: AbortSignal, fence?: number) => host.reboot(signal, fence),
      }),
    }
    this.#monitor = new Monitor(monitored, { ...options, onEvent: (event) => this.#monitorTold(event) })
    driver.onEvent((event) => this.#driverTold(event))
  }

  /** Its health is judged by this policy from now on. */
  reconfigure(policy: HealthPolicy): void {
    this.#monitor.reconfigure(policy)
  }

  /** Brings Tor up, unless the operator wants it stopped, and watches over it from now on. To be called once. */
  start(): void {
    this.#order(() => this.#bringWhereItBelongs(), this.#life.signal).catch(() => {})
    this.#watch = this.#monitor.run(this.#life.signal)
  }

  get reach(): Reach {
    return reachOf(this.#driver.kind)
  }

  /** As other gateways may use it; undefined for one that is not ours to offer. */
  get offered(): OfferedWorker | undefined {
    return this.reach === 'own' ? this.#driver : undefined
  }

  connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: ConnectOptions,
  ): Promise<WorkerConnection> {
    return this.#driver.connect(target, identity, signal, options)
  }

  resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    return this.#driver.resolve(host, identity, signal)
  }

  forget(identity: Identity): void {
    this.#driver.forget(identity)
  }

  /** How a request's try on this worker went. */
  report(outcome: 'ok' | ProblemCode, target: Target | undefined): void {
    this.#requests++
    if (outcome === 'ok') {
      this.#monitor.outcomePassed(target)
    } else if (mayBeTheWorkers(outcome)) {
      this.#failures++
      this.#monitor.outcomeFailed(PROBLEMS[outcome].title, target)
    }
  }

  /** A request's try on this worker hangs. */
  stalled(reason: string): void {
    this.#monitor.suspectedByStall(reason)
  }

  /**
   * Follows the operator's wish; resolves once Tor is up and bootstrapped, or gone. The order outlasts `signal`. Orders
   * are carried out one after the other, each by what is wished when its turn comes.
   */
  async follow(desired: DesiredState, signal: AbortSignal): Promise<void> {
    this.#desired = desired
    this.#ordersGiven++
    this.#monitor.setDesired(desired)
    await this.#order(() => this.#bringWhereItBelongs(), signal)
  }

  /** It is going: it gets no more requests, and is watched as before while it has some. */
  retire(): void {
    if (this.#desired === 'enabled') this.#desired = 'drained'
    this.#monitor.setDesired(this.#desired)
  }

  /** As `follow`: stops Tor if it runs and starts it again. */
  async restart(signal: AbortSignal): Promise<void> {
    await this.#order(async () => {
      using _ = await this.#seize()
      this.#monitor.reset('restarted by the operator')
      if (this.#driver.restart !== undefined) await this.#driver.restart(this.#life.signal)
      else await this.#driver.stop(this.#life.signal)
      await this.#bringWhereItBelongs()
    }, signal)
  }

  /**
   * Reboots the worker's box, and resolves once it shows that it did and Tor is up again as wished. Rejects with `conflict`
   * for a worker that has no box. The order outlasts `signal`.
   */
  async reboot(signal: AbortSignal): Promise<void> {
    const { host } = this.#driver
    if (host === undefined) {
      const { id } = this.name
      throw new CbtorError(
        'conflict',
        `Cannot reboot worker ${id}: it is of kind ${this.#driver.kind}, which has no box`,
      )
    }
    await this.#order(async () => {
      using _ = await this.#seize()
      this.#monitor.reset('its box is rebooted by the operator')
      await this.#unhurried(host.reboot(this.#life.signal, this.#options.shared?.fence()))
      await this.#bringWhereItBelongs()
    }, signal)
  }

  /** The operator says that it is well. A Tor that does not run is started all the same. */
  forceHealthy(): void {
    this.#monitor.forceHealthy('enabled by the operator')
    this.#order(() => this.#bringWhereItBelongs(), this.#life.signal).catch(() => {})
  }

  /** When Tor will act on `newCircuits`, in milliseconds since the epoch. */
  newCircuitsActAt(): number {
    return this.#driver.newCircuitsActAt()
  }

  newCircuits(): Promise<NewCircuits> {
    return this.#driver.newCircuits(this.#life.signal)
  }

  warmUp(signal: AbortSignal): Promise<void> {
    return this.#driver.warmUp(signal)
  }

  inspect(signal: AbortSignal): Promise<WorkerInspection> {
    return this.#driver.inspect(signal)
  }

  /** Undefined for a worker that has no box. */
  async inspectHost(signal: AbortSignal): Promise<HostInspection | undefined> {
    return await this.#driver.host?.inspect(signal)
  }

  /** Undefined where nobody tells. */
  circuits(): CircuitFigures | undefined {
    return this.#driver.circuits?.()
  }

  pid(): number | undefined {
    return this.#driver.observe().pid
  }

  view(leases: number, receivesTraffic: boolean): WorkerView {
    const { process, pid, startedAt, bootstrap, torVersion, problem } = this.#driver.observe()
    const { health, since, failures, lastFailure, lastRecovery, nextAction } = this.#monitor.describe()
    const isWell = health === 'healthy' || health === 'starting' || this.#desired === 'stopped'
    return {
      ...this.name,
      kind: this.#driver.kind,
      desired: this.#desired,
      state: health,
      since,
      consecutiveFailures: failures,
      receivesTraffic,
      process: { state: process, pid, startedAt },
      bootstrap,
      torVersion,
      leases,
      problem: problem ?? (isWell ? undefined : lastFailure?.reason),
      lastCheck: this.#lastCheck,
      lastRecovery,
      nextAction,
      requests: this.#requests,
      failures: this.#failures,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new Error(`Worker ${this.name.id} is going: the service is stopping`))
    await this.#watch
    await this.#driver[Symbol.asyncDispose]()
  }

  /**
   * No other gateway heals it until that is disposed, if that can be had: the order is the operator's, and is carried out also
   * while the store is down.
   */
  async #seize(): Promise<Disposable | undefined> {
    const { shared, clock } = this.#options
    if (shared === undefined) return undefined
    const keep = shared.keep()
    using limit = deadline(clock, SEIZED_WITHIN_MS, this.#life.signal, () => new Error('its lease is not to be had'))
    await shared.seize(limit.signal).catch(() => {})
    return keep
  }

  /** While an order takes long, the watch does not take its silence for a start that is stuck. */
  async #unhurried(order: Promise<void>): Promise<void> {
    const ended = new AbortController()
    const ticking = (async () => {
      while (!ended.signal.aborted) {
        this.#monitor.progressed()
        await this.#options.clock.sleep(ORDER_TICK_MS, ended.signal).catch(() => {})
      }
    })()
    try {
      await order
    } finally {
      ended.abort()
      await ticking
    }
  }

  /** One order at a time; a stop does not wait for a start that it makes pointless. */
  async #order(run: () => Promise<void>, signal: AbortSignal): Promise<void> {
    if (this.#desired === 'stopped') await abortable(this.#driver.stop(this.#life.signal), signal)
    const done = this.#orders.then(run)
    this.#orders = done.catch(() => {})
    await abortable(done, signal)
  }

  /**
   * Down if it is to be stopped, else up, with circuits to spare. A start that fails is told to the monitor, which takes it
   * from there; one that a later order ended has not failed.
   */
  async #bringWhereItBelongs(): Promise<void> {
    if (this.#desired === 'stopped') {
      await this.#driver.stop(this.#life.signal)
      return
    }
    const given = this.#ordersGiven
    try {
      await this.#driver.start(this.#life.signal)
      await this.#warmUp()
      this.#monitor.probeNow()
    } catch (error) {
      if (this.#life.signal.aborted) return
      if (this.#ordersGiven !== given)
        throw new CbtorError('conflict', `Cannot start worker ${this.name.id}: it was stopped meanwhile`)
      this.#monitor.lost(messageOf(error))
      throw error
    }
  }

  /** Not for ever, since later orders wait for it; the probe that follows has the last word. */
  async #warmUp(): Promise<void> {
    const { clock } = this.#options
    using limit = deadline(clock, WARM_UP_LIMIT_MS, this.#life.signal, () => new Error('no circuits in time'))
    await abortable(this.#driver.warmUp(limit.signal), limit.signal).catch(() => {})
  }

  /** A Tor that cannot carry anything yet would only spoil the statistics of the check endpoints. */
  async #probe(signal: AbortSignal): Promise<ProbeResult> {
    const again = this.#turnToAgain()
    if (again !== undefined) await again(signal).catch(() => {})
    const { process, bootstrap } = this.#driver.observe()
    if (process !== 'running' || bootstrap.progress < 100) {
      return { verdict: 'failed', reason: `Tor is ${process}, its bootstrap at ${bootstrap.progress} %` }
    }
    return await this.#options.probe(signal)
  }

  /**
   * A Tor may have come back without us: that of a box, and one that another gateway heals. The latter's may be `stopped` here by a
   * look that was given up before it was up: as if it had never begun. Undefined where there is nothing to be turned to.
   */
  #turnToAgain(): ((signal: AbortSignal) => Promise<void>) | undefined {
    const { host } = this.#driver
    const { shared } = this.#options
    const { process } = this.#driver.observe()
    const isAnothers = shared !== undefined && shared.fence() === undefined
    if (host !== undefined) return process === 'exited' ? (signal) => host.reattach(signal) : undefined
    const isAway = process === 'exited' || process === 'stopped'
    return isAway && isAnothers ? (signal) => this.#driver.start(signal) : undefined
  }

  #monitorTold(event: MonitorEvent): void {
    if (event.type === 'probe-ended') {
      const ok = event.verdict === 'passed'
      const error = event.verdict === 'passed' ? undefined : event.reason
      this.#lastCheck = { at: this.#options.clock.now(), ok, latencyMs: ok ? event.ms : undefined, error }
    }
    this.#options.onEvent(event)
  }

  #driverTold(event: DriverEvent): void {
    if (event.type === 'progressed') this.#monitor.progressed()
    if (event.type === 'lost') this.#monitor.lost(event.reason)
    if (event.type === 'untrusted') this.#monitor.lost(event.reason)
    if (event.type === 'isolation-missing') this.#monitor.lost('its Tor does not keep identities apart')
    this.#options.onEvent(event)
  }
}

/** Failures that only a look at other workers and targets can tell from the target's; those of the target alone are not here. */
function mayBeTheWorkers(outcome: ProblemCode): boolean {
  const { fault } = PROBLEMS[outcome]
  return (fault === 'worker' && outcome !== 'session_worker_lost') || outcome === 'tor_timeout'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
