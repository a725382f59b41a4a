import type { LiveRequestsView, LiveView } from './api/views.ts'
import type { RecordedEvent } from './domain/events.ts'
import type { Events } from './events/events.ts'
import type { WorkerGauges } from './events/worker-metrics.ts'
import type { Clock } from './lib/clock.ts'
import { HealthHistory } from './live/health-history.ts'
import { LiveRequests } from './live/live-requests.ts'
import { Throughput } from './live/throughput.ts'
import type { PoolEntry } from './pool/pool.ts'
import { receivesTraffic } from './service-backend.ts'
import type { WorkerUnit } from './worker-unit.ts'

/** So many requests under way are told at most. */
const MAX_SHOWN = 100

/** What the figures are joined with. */
export type LiveRest = Pick<LiveView, 'service' | 'problems'> & {
  readonly workers: readonly LiveView['workers'][number]['worker'][]
  readonly waiting: number
}

/** What goes on just now and went on of late, for pages that show it. Dispose it at the end. */
export class ServiceLive implements Disposable {
  /** To be told of each request. */
  readonly requests: LiveRequests
  readonly throughput: Throughput
  readonly #clock: Clock
  readonly #health: HealthHistory
  readonly #ends = new DisposableStack()

  constructor(clock: Clock, events: Pick<Events, 'onAdded'>) {
    this.#clock = clock
    this.requests = new LiveRequests(clock)
    this.throughput = this.#ends.use(new Throughput(clock))
    this.#health = new HealthHistory(clock)
    const onEvent = (recorded: RecordedEvent) => {
      // What another gateway thinks of a worker is not what this one does.
      if (recorded.replica !== undefined) return
      this.#health.recorded(recorded)
      if (recorded.event.type === 'worker_removed') this.#forget(recorded.event.worker)
    }
    this.#ends.use(events.onAdded(onEvent))
  }

  underWay(): LiveRequestsView {
    return { requests: this.requests.list(MAX_SHOWN), total: this.requests.total }
  }

  view({ service, problems, workers, waiting }: LiveRest): LiveView {
    const { recent, tunnels } = this.requests
    const { requests, failures, perSecond, p50Ms, p95Ms } = recent.lastMinute()
    const shown = workers.map((worker) => {
      const { read, written } = this.throughput.perSecond(worker.id)
      return {
        worker,
        history: this.#health.of(worker.id, { state: worker.state, since: worker.since }),
        requestsPerS: recent.perSecondOf(worker.id),
        readBytesPerS: read,
        writtenBytesPerS: written,
      }
    })
    const sum = (value: (worker: (typeof shown)[number]) => number) => shown.reduce((all, each) => all + value(each), 0)
    return {
      ...{ at: this.#clock.now(), service, problems },
      pool: {
        requestsPerS: perSecond,
        successRatio: requests === 0 ? undefined : 1 - failures / requests,
        ...{ p50Ms, p95Ms, waiting, tunnels },
        leases: sum(({ worker }) => worker.leases),
        readBytesPerS: sum(({ readBytesPerS }) => readBytesPerS),
        writtenBytesPerS: sum(({ writtenBytesPerS }) => writtenBytesPerS),
      },
      series: recent.points(),
      workers: shown,
      requests: this.underWay(),
    }
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
  }

  #forget(worker: string): void {
    this.requests.recent.forget(worker)
    this.throughput.forget(worker)
  }
}

/** A worker as metrics show it. */
export function gaugesOf(entry: PoolEntry<WorkerUnit>, throughput: Throughput): WorkerGauges {
  const { member, desired, health, leases } = entry
  const isHandedOut = receivesTraffic(entry)
  return {
    ...{ worker: entry.name.id, health, desired, leases, receivesTraffic: isHandedOut },
    bootstrap: member.view(leases, isHandedOut).bootstrap.progress,
    circuits: member.circuits(),
    bytes: throughput.total(entry.name.id),
  }
}
