import type { ServiceConfig } from './config/read-config.ts'
import type { WorkerName } from './domain/worker.ts'
import type { Metrics } from './events/metrics.ts'
import { LINES, type Order } from './fetch/order.ts'
import type { Clock } from './lib/clock.ts'
import { Admission, burstOf, type LimitPolicy } from './limits/admission.ts'
import { Politeness } from './limits/politeness.ts'
import type { UsageStore } from './limits/usage-store.ts'
import { WaitingLines } from './limits/waiting-lines.ts'

export interface OrderParts {
  readonly clock: Clock
  /** Its `setUsage` must not throw. */
  readonly usage: UsageStore
  readonly metrics: Metrics
  /** Requests that all workers together take at a time. */
  readonly places: number
}

/** What holds keys to their limits, spares targets and lets requests wait for their turn. Dispose it at the end. */
export interface ServiceOrder extends Disposable {
  readonly admission: Admission
  readonly order: Order
  /** How many requests wait. */
  readonly waiting: number
  /** To be told when the worker has room. */
  onRoom(worker: WorkerName): void
}

export function createOrder(config: Pick<ServiceConfig, 'limits' | 'politeness'>, parts: OrderParts): ServiceOrder {
  const { clock, usage, metrics, places } = parts
  const { limits, politeness: polite } = config
  const admission = new Admission({
    ...{ clock, usage, defaults: defaultLimits(limits, places) },
    onRefused: (code, key) => metrics.keyRefused(code, key),
  })
  const lines = new WaitingLines({
    clock,
    policy: { waitMs: limits.queue.wait, perKey: limits.queue.per_key, total: limits.queue.total },
    onWaited: (ms, outcome) => metrics.requestWaited(ms, outcome),
  })
  metrics.waiting(() => lines.waiting)
  const politeness =
    polite === 'off'
      ? undefined
      : new Politeness({
          clock,
          policy: { ...polite, honourRetryAfter: polite.honour_retry_after },
          onRoom(site, worker) {
            lines.look(LINES.hostBy(site, worker))
            lines.look(LINES.host(site))
          },
        })
  return {
    admission,
    order: { lines, ...(politeness && { politeness }) },
    get waiting() {
      return lines.waiting
    },
    onRoom({ id, n }) {
      // A client may call it by its number.
      lines.look(LINES.worker(id))
      lines.look(LINES.worker(String(n)))
      lines.look(LINES.pool)
    },
    [Symbol.dispose]: () => admission[Symbol.dispose](),
  }
}

/** Half of what the pool takes: no key alone can take it all. */
function defaultLimits(
  { rate, burst, concurrent, bytes_per_day }: ServiceConfig['limits'],
  places: number,
): LimitPolicy {
  return {
    rate,
    burst: burst ?? burstOf(rate),
    concurrent: concurrent ?? Math.ceil(places / 2),
    bytesPerDay: bytes_per_day,
  }
}
