import { Registry } from 'prom-client'
import { type RecordedEvent, workerOf } from '../domain/events.ts'
import type { Mode } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { type ClusterGauges, registerClusterMetrics } from './cluster-metrics.ts'
import { Instruments } from './instruments.ts'
import { registerProcessMetrics } from './process-metrics.ts'
import { RequestMetrics } from './request-metrics.ts'
import { registerWorkerMetrics, type WorkerGauges } from './worker-metrics.ts'

/** Asked at each scrape. */
export interface MetricsSources {
  workers(): readonly WorkerGauges[]
  jobs?(): { readonly jobs: Readonly<Record<string, number>>; readonly running: number; readonly bytes: number }
  /** How many there are. */
  sessions?(): number
  /** The pool's. */
  mode?(): Mode
  cluster?(): ClusterGauges
  readonly version?: string
}

const WAIT_BUCKETS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60]
const RECOVERY_BUCKETS_S = [1, 2, 5, 10, 20, 30, 60, 120, 300]
/** Keys come and go; refusals of more than so many are counted together. */
const MAX_KEYS = 1_000

/** The service in numbers, as Prometheus reads them. Labels have few values: workers, codes, states, ids of keys; never a target or a sticky key. */
export class Metrics implements Disposable {
  /** To be told of each request to a target. */
  readonly requests: RequestMetrics
  readonly #registry = new Registry()
  readonly #make = new Instruments(this.#registry)
  readonly #process: Disposable
  readonly #keys = new Set<string>()
  readonly #probes = this.#make.counter('probes_total', 'Probes of a worker.', ['worker', 'verdict'])
  readonly #recoveries = this.#make.counter('recoveries_total', 'Attempts to bring a worker back.', [
    'worker',
    'outcome',
  ])
  readonly #recoveryTimes = this.#make.histogram(
    'recovery_duration_seconds',
    'How long an attempt to bring a worker back took.',
    ['outcome'],
    RECOVERY_BUCKETS_S,
  )
  readonly #restarts = this.#make.counter('tor_restarts_total', 'Restarts of a running or dead Tor.', ['worker', 'by'])
  readonly #events = this.#make.counter('events_total', 'Events, as GET /api/v1/events has them.', ['type', 'severity'])
  readonly #problems = this.#make.gauge('problem_open', '1 for each problem that is open.', ['code', 'worker'])
  readonly #refusals = this.#make.counter('key_refusals_total', 'Requests that the limits of a key refused.', [
    'code',
    'key',
  ])
  readonly #waits = this.#make.histogram(
    'queue_wait_seconds',
    'Requests that waited for a worker or for their target to have room, when that was over.',
    ['outcome'],
    WAIT_BUCKETS_S,
  )

  constructor(options: MetricsSources) {
    const make = this.#make
    this.requests = new RequestMetrics(make, () => options.mode?.() ?? 'round_robin')
    registerWorkerMetrics(make, () => options.workers())
    this.#process = registerProcessMetrics(make, options.version ?? '')
    make.gauge('jobs', 'Jobs that are kept.', ['state'], (gauge) => {
      for (const [state, count] of Object.entries(options.jobs?.().jobs ?? {})) gauge.set({ state }, count)
    })
    make.gauge('job_fetches_running', 'Fetches of jobs that go on.', [], (gauge) =>
      gauge.set(options.jobs?.().running ?? 0),
    )
    make.gauge('jobs_stored_bytes', 'What is kept for jobs: requests to send, and answers.', [], (gauge) =>
      gauge.set(options.jobs?.().bytes ?? 0),
    )
    if (options.cluster !== undefined) registerClusterMetrics(make, options.cluster)
    make.gauge('sessions', 'Sticky keys that are in use.', [], (gauge) => gauge.set(options.sessions?.() ?? 0))
  }

  /** `waiting` is asked at each scrape. To be called once. */
  waiting(waiting: () => number): void {
    this.#make.gauge('queue_length', 'Requests that wait for a worker or for their target to have room.', [], (gauge) =>
      gauge.set(waiting()),
    )
  }

  /** The limits of a key refused a request. */
  keyRefused(code: ProblemCode, key: string): void {
    const isTold = this.#keys.has(key) || this.#keys.size < MAX_KEYS
    if (isTold) this.#keys.add(key)
    this.#refusals.inc({ code, key: isTold ? key : '' })
  }

  requestWaited(ms: number, outcome: 'served' | 'refused' | 'gone'): void {
    this.#waits.observe({ outcome }, ms / 1_000)
  }

  probeEnded(worker: string, verdict: 'passed' | 'failed' | 'unclear'): void {
    this.#probes.inc({ worker, verdict })
  }

  /** For `Events`. */
  eventRecorded({ event, severity }: RecordedEvent): void {
    this.#events.inc({ type: event.type, severity })
    const worker = workerOf(event) ?? ''
    if (event.type === 'recovery_ended') {
      const outcome = event.ok ? 'ok' : 'failed'
      this.#recoveries.inc({ worker, outcome })
      this.#recoveryTimes.observe({ outcome }, event.ms / 1_000)
    }
    if (event.type === 'tor_restarted') this.#restarts.inc({ worker, by: event.by })
    if (event.type === 'problem_opened') this.#problems.set({ code: event.code, worker }, 1)
    if (event.type === 'problem_closed') this.#problems.remove({ code: event.code, worker })
  }

  /** Nothing is told of the worker any more. */
  forgetWorker(worker: string): Promise<void> {
    return this.#make.forgetWorker(worker)
  }

  /** Of `text()`, for the header Content-Type. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** All of them in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  [Symbol.dispose](): void {
    this.#process[Symbol.dispose]()
  }
}
