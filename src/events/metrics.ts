import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { CbtorError, codeOf } from '../domain/errors.ts'
import { type RecordedEvent, workerOf } from '../domain/events.ts'
import type { Attempt, FetchAnswer, Timing } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { HealthState } from '../domain/worker.ts'

/** A worker as it is at the moment of a scrape. */
export interface WorkerGauges {
  readonly worker: string
  readonly health: HealthState
  readonly receivesTraffic: boolean
  readonly leases: number
}

/** Asked at each scrape. */
export interface MetricsSources {
  workers(): readonly WorkerGauges[]
  jobs?(): { readonly jobs: Readonly<Record<string, number>>; readonly running: number; readonly bytes: number }
}

const STATES: readonly HealthState[] = ['starting', 'healthy', 'suspect', 'dead', 'recovery']
const WAIT_BUCKETS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60]
/** Through Tor: from a kept connection up to the longest `timeout_ms`. */
const DURATION_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300]

/** The service in numbers, as Prometheus reads them. Labels have few values: workers, codes, states, ids of keys; never a target or a sticky key. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests = this.#counter(
    'requests_total',
    'Fetches, and requests through the proxy, by the worker that ended them.',
    ['worker', 'outcome'],
  )
  readonly #attempts = this.#counter('attempts_total', 'Tries of fetches, requests and tunnels on a worker.', [
    'worker',
    'outcome',
  ])
  readonly #probes = this.#counter('probes_total', 'Probes of a worker.', ['worker', 'verdict'])
  readonly #recoveries = this.#counter('recoveries_total', 'Attempts to bring a worker back.', ['worker', 'outcome'])
  readonly #restarts = this.#counter('tor_restarts_total', 'Restarts of a running or dead Tor.', ['worker', 'by'])
  readonly #events = this.#counter('events_total', 'Events, as GET /api/v1/events has them.', ['type', 'severity'])
  readonly #problems = this.#gauge('problem_open', '1 for each problem that is open.', ['code', 'worker'])
  readonly #tunnels = this.#counter(
    'tunnels_total',
    'Tunnels of proxy clients that have ended, or did not come to stand.',
    ['worker', 'outcome'],
  )
  readonly #tunnelsOpen = this.#gauge('tunnels_open', 'Tunnels of proxy clients that stand.', ['worker'])
  readonly #tunnelBytes = this.#counter('tunnel_bytes_total', 'Bytes through tunnels that have ended.', ['direction'])
  readonly #refusals = this.#counter('key_refusals_total', 'Requests that the limits of a key refused.', [
    'code',
    'key',
  ])
  readonly #waits = new Histogram({
    name: 'cbtor_queue_wait_seconds',
    help: 'Requests that waited for a worker or for their target to have room, when that was over.',
    labelNames: ['outcome'],
    buckets: WAIT_BUCKETS_S,
    registers: [this.#registry],
  })
  readonly #durations = new Histogram({
    name: 'cbtor_request_duration_seconds',
    help: 'Fetches from start to end, all tries included; through the proxy up to the head of the answer.',
    labelNames: ['outcome'],
    buckets: DURATION_BUCKETS_S,
    registers: [this.#registry],
  })

  constructor(options: MetricsSources) {
    this.#gauge('jobs', 'Jobs that are kept.', ['state'], (gauge) => {
      for (const [state, count] of Object.entries(options.jobs?.().jobs ?? {})) gauge.set({ state }, count)
    })
    this.#gauge('job_fetches_running', 'Fetches of jobs that go on.', [], (gauge) =>
      gauge.set(options.jobs?.().running ?? 0),
    )
    this.#gauge('jobs_stored_bytes', 'What is kept for jobs: requests to send, and answers.', [], (gauge) =>
      gauge.set(options.jobs?.().bytes ?? 0),
    )
    this.#gauge('worker_leases', 'Requests that hold the worker.', ['worker'], (gauge) => {
      for (const { worker, leases } of options.workers()) gauge.set({ worker }, leases)
    })
    this.#gauge('worker_receives_traffic', '1 if the pool hands the worker out.', ['worker'], (gauge) => {
      for (const { worker, receivesTraffic } of options.workers()) gauge.set({ worker }, Number(receivesTraffic))
    })
    this.#gauge(
      'worker_health',
      '1 for the state that the worker is in, 0 for the others.',
      ['worker', 'state'],
      (gauge) => {
        for (const { worker, health } of options.workers()) {
          for (const state of STATES) gauge.set({ worker, state }, Number(state === health))
        }
      },
    )
  }

  /** `waiting` is asked at each scrape. To be called once. */
  waiting(waiting: () => number): void {
    this.#gauge('queue_length', 'Requests that wait for a worker or for their target to have room.', [], (gauge) =>
      gauge.set(waiting()),
    )
  }

  /** The limits of a key refused a request. */
  keyRefused(code: ProblemCode, key: string): void {
    this.#refusals.inc({ code, key })
  }

  requestWaited(ms: number, outcome: 'served' | 'refused' | 'gone'): void {
    this.#waits.observe({ outcome }, ms / 1_000)
  }

  /** A fetch, or the proxy, delivered the target's answer. */
  requestAnswered({
    worker,
    attempts,
    timing,
  }: Pick<FetchAnswer, 'worker' | 'attempts'> & { readonly timing: Pick<Timing, 'totalMs'> }): void {
    this.#requestEnded(worker, 'ok', timing.totalMs, attempts)
  }

  /** A fetch failed with `error`, `ms` after its start. */
  requestFailed(error: unknown, ms: number): void {
    const attempts = error instanceof CbtorError ? error.attempts : []
    this.#requestEnded(attempts.at(-1)?.worker, codeOf(error), ms, attempts)
  }

  tunnelOpened({ worker, attempts }: { readonly worker: string; readonly attempts: readonly Attempt[] }): void {
    this.#tunnelsOpen.inc({ worker })
    this.#tried(attempts)
  }

  tunnelClosed(worker: string): void {
    this.#tunnelsOpen.dec({ worker })
  }

  /** `bytesRead`: from the target. */
  tunnelEnded(
    worker: string,
    outcome: 'ok' | ProblemCode,
    { bytesRead, bytesWritten }: { readonly bytesRead: number; readonly bytesWritten: number },
  ): void {
    this.#tunnels.inc({ worker, outcome })
    this.#tunnelBytes.inc({ direction: 'received' }, bytesRead)
    this.#tunnelBytes.inc({ direction: 'sent' }, bytesWritten)
  }

  /** No worker could make it stand. */
  tunnelFailed(error: unknown): void {
    const attempts = error instanceof CbtorError ? error.attempts : []
    this.#tunnels.inc({ worker: attempts.at(-1)?.worker ?? '', outcome: codeOf(error) })
    this.#tried(attempts)
  }

  probeEnded(worker: string, verdict: 'passed' | 'failed' | 'unclear'): void {
    this.#probes.inc({ worker, verdict })
  }

  /** For `Events`. */
  eventRecorded({ event, severity }: RecordedEvent): void {
    this.#events.inc({ type: event.type, severity })
    const worker = workerOf(event) ?? ''
    if (event.type === 'recovery_ended') this.#recoveries.inc({ worker, outcome: event.ok ? 'ok' : 'failed' })
    if (event.type === 'tor_restarted') this.#restarts.inc({ worker, by: event.by })
    if (event.type === 'problem_opened') this.#problems.set({ code: event.code, worker }, 1)
    if (event.type === 'problem_closed') this.#problems.remove({ code: event.code, worker })
  }

  /** Nothing is told of the worker any more. */
  async forgetWorker(worker: string): Promise<void> {
    for (const metric of this.#registry.getMetricsAsArray()) {
      if (!(metric instanceof Counter || metric instanceof Gauge || metric instanceof Histogram)) continue
      const { values } = await metric.get()
      for (const { labels } of values) {
        const { le: _le, ...own } = labels as Record<string, string>
        if (own.worker === worker) metric.remove(own)
      }
    }
  }

  /** Of `text()`, for the header Content-Type. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** All of them in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #requestEnded(worker = '', outcome: string, ms: number, attempts: readonly Attempt[]): void {
    this.#requests.inc({ worker, outcome })
    this.#durations.observe({ outcome: outcome === 'ok' ? 'ok' : 'failed' }, ms / 1_000)
    this.#tried(attempts)
  }

  #tried(attempts: readonly Attempt[]): void {
    for (const { worker, outcome } of attempts) this.#attempts.inc({ worker, outcome })
  }

  #counter<const L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name: `cbtor_${name}`, help, labelNames, registers: [this.#registry] })
  }

  #gauge<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect: (gauge: Gauge<L>) => void = () => {},
  ): Gauge<L> {
    return new Gauge({
      name: `cbtor_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        collect(this)
      },
    })
  }
}
