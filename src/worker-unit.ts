import type { WorkerView } from './api/views.ts'
import { CbtorError } from './domain/errors.ts'
import type { Identity } from './domain/identity.ts'
import { PROBLEMS, type ProblemCode } from './domain/problems.ts'
import type { DesiredState, HealthState, Target, WorkerName } from './domain/worker.ts'
import { Monitor, type MonitorOptions } from './health/monitor.ts'
import type { MonitorEvent, ProbeResult } from './health/monitored.ts'
import type { HealthPolicy } from './health/policy.ts'
import { climb, type RecoveryResult, type RecoveryStep } from './health/recovery.ts'
import { abortable } from './lib/abort.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import type { WorkerConnection, WorkerDriver } from './workers/driver.ts'

/** How long Tor may take to come up during recovery: a cold directory on a slow network. */
const START_LIMIT_MS = 90_000
const VERIFY_LIMIT_MS = 20_000

export interface WorkerUnitOptions {
  readonly name: WorkerName
  readonly driver: WorkerDriver
  readonly desired: DesiredState
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly policy: HealthPolicy
  /** Fetches check endpoints through the worker, whatever its state. */
  probe(signal: AbortSignal): Promise<ProbeResult>
  /** Told of each change of the observed health. */
  onHealth(health: HealthState, reason: string): void
}

/** One worker with all that belongs to it: its driver, the watch over its health, and what it has done. */
export class WorkerUnit implements AsyncDisposable {
  readonly name: WorkerName
  readonly #driver: WorkerDriver
  readonly #monitor: Monitor
  readonly #options: WorkerUnitOptions
  /** Ends with the service: orders outlast the request that gave them. */
  readonly #life = new AbortController()
  #watch: Promise<void> | undefined
  #desired: DesiredState
  #state: HealthState = 'starting'
  #since: number
  #lastCheck: WorkerView['lastCheck']
  #problem: string | undefined
  #requests = 0
  #failures = 0

  constructor(options: WorkerUnitOptions) {
    const { name, driver, clock, desired } = options
    this.name = name
    this.#options = options
    this.#driver = driver
    this.#desired = desired
    this.#since = clock.now()
    const monitorOptions: MonitorOptions = { ...options, onEvent: (event) => this.#observed(event) }
    this.#monitor = new Monitor(
      { probe: (signal) => this.#probe(signal), recover: (_, signal) => this.#recover(signal) },
      monitorOptions,
    )
    driver.onEvent((event) => (event.type === 'lost' ? this.#monitor.lost(event.reason) : this.#monitor.progressed()))
  }

  /** Brings Tor up, unless the operator wants it stopped, and watches over it from now on. To be called once. */
  start(): void {
    this.#bringUp().catch(() => {})
    this.#watch = this.#monitor.run(this.#life.signal)
  }

  connect(target: Target, identity: Identity, signal: AbortSignal): Promise<WorkerConnection> {
    return this.#driver.connect(target, identity, signal)
  }

  /** How a request's try on this worker went. Only what is the worker's own fault counts against it. */
  report(outcome: 'ok' | ProblemCode): void {
    this.#requests++
    if (outcome === 'ok') {
      this.#monitor.outcomePassed()
    } else if (PROBLEMS[outcome].fault === 'operator') {
      this.#failures++
      this.#monitor.outcomeFailed(PROBLEMS[outcome].title)
    }
  }

  /** Follows the operator's wish; resolves once Tor is up and bootstrapped, or gone. The order outlasts `signal`. */
  follow(desired: DesiredState, signal: AbortSignal): Promise<void> {
    const wasStopped = this.#desired === 'stopped'
    this.#desired = desired
    if (desired !== 'stopped') {
      if (!wasStopped) return Promise.resolve()
      this.#monitor.setDesired(desired)
      return abortable(this.#bringUp(), signal)
    }
    this.#monitor.setDesired('stopped')
    return abortable(this.#driver.stop(this.#life.signal), signal)
  }

  /** As `follow`: stops Tor if it runs and starts it again. */
  restart(signal: AbortSignal): Promise<void> {
    this.#monitor.reset('restarted by the operator')
    const restarted = this.#driver.stop(this.#life.signal).then(() => this.#bringUp())
    return abortable(restarted, signal)
  }

  /** The operator says that it is well. A Tor that does not run is started all the same. */
  forceHealthy(): void {
    this.#monitor.forceHealthy('enabled by the operator')
    this.#bringUp().catch(() => {})
  }

  pid(): number | undefined {
    return this.#driver.observe().pid
  }

  view(leases: number): WorkerView {
    const { process, pid, startedAt, bootstrap, torVersion, problem } = this.#driver.observe()
    const receivesTraffic = this.#desired === 'enabled' && (this.#state === 'healthy' || this.#state === 'suspect')
    const health = this.#monitor.health
    return {
      ...this.name,
      kind: this.#driver.kind,
      desired: this.#desired,
      state: this.#state,
      since: this.#since,
      consecutiveFailures: this.#consecutiveFailures(health),
      receivesTraffic,
      process: { state: process, pid, startedAt },
      bootstrap,
      torVersion,
      leases,
      problem: this.#desired === 'stopped' ? undefined : (problem ?? this.#problem),
      lastCheck: this.#lastCheck,
      requests: this.#requests,
      failures: this.#failures,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new CbtorError('worker_unreachable', `Worker ${this.name.id} is going: the service is stopping`))
    await this.#watch
    await this.#driver[Symbol.asyncDispose]()
  }

  /** As the original counts: from the first failure on, suspicion included. */
  #consecutiveFailures(health: Monitor['health']): number {
    const { failsToSuspect, failsToDead } = this.#options.policy
    if (health.status === 'healthy') return health.fails
    if (health.status === 'suspect') return failsToSuspect + health.fails
    return health.status === 'starting' ? 0 : failsToSuspect + failsToDead
  }

  /** Starts Tor if it is to run; a failure is told to the monitor, which takes it from there. */
  async #bringUp(): Promise<void> {
    if (this.#desired === 'stopped') return
    try {
      await this.#driver.start(this.#life.signal)
      this.#monitor.probeNow()
    } catch (error) {
      if (this.#life.signal.aborted) return
      this.#monitor.lost(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  /** A Tor that cannot carry anything yet would only spoil the statistics of the check endpoints. */
  async #probe(signal: AbortSignal): Promise<ProbeResult> {
    const { process, bootstrap } = this.#driver.observe()
    if (process !== 'running' || bootstrap.progress < 100) {
      return { verdict: 'failed', reason: `Tor is ${process}, its bootstrap at ${bootstrap.progress} %` }
    }
    return await this.#options.probe(signal)
  }

  #recover(signal: AbortSignal): Promise<RecoveryResult> {
    const ladder: RecoveryStep[] = [
      {
        name: 'restart-tor',
        timeLimitMs: START_LIMIT_MS,
        run: async (limit) => {
          await this.#driver.stop(limit)
          await this.#driver.start(limit)
        },
      },
      {
        name: 'verify-circuit',
        timeLimitMs: VERIFY_LIMIT_MS,
        run: async (limit) => {
          const result = await this.#probe(limit)
          if (result.verdict === 'failed') throw new Error(result.reason)
        },
      },
    ]
    return climb(ladder, this.#options.clock, signal)
  }

  #observed(event: MonitorEvent): void {
    const { clock, logger, onHealth } = this.#options
    logMonitorEvent(logger, this.name.id, event)
    if (event.type === 'health-changed') {
      this.#state = event.to
      this.#since = clock.now()
      this.#problem = event.to === 'healthy' || event.to === 'starting' ? undefined : event.reason
      onHealth(event.to, event.reason)
    } else if (event.type === 'probe-ended') {
      const ok = event.verdict === 'passed'
      const error = event.verdict === 'passed' ? undefined : event.reason
      this.#lastCheck = { at: clock.now(), ok, latencyMs: ok ? event.ms : undefined, error }
    }
  }
}

function logMonitorEvent(logger: Logger, worker: string, event: MonitorEvent): void {
  const { type, ...fields } = event
  logger[levelOf(event)]({ worker, ...fields }, type)
}

/** What an operator must see is a `warn`; what a healthy system does all day is for debugging. */
function levelOf(event: MonitorEvent): 'warn' | 'info' | 'debug' {
  if (event.type === 'probe-ended') return 'debug'
  if (event.type === 'reboot-ordered' || event.type === 'reboot-failed') return 'warn'
  return event.type === 'health-changed' && event.to === 'dead' ? 'warn' : 'info'
}
