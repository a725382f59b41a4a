import type { ServiceConfig } from './config/read-config.ts'
import type { WorkerName } from './domain/worker.ts'
import type { Metrics } from './events/metrics.ts'
import { LINES, type Order } from './fetch/order.ts'
import type { Clock } from './lib/clock.ts'
import { Admission, burstOf, type LimitPolicy } from './limits/admission.ts'
import { Politeness, type PolitenessPolicy } from './limits/politeness.ts'
import type { UsageStore } from './limits/usage-store.ts'
import { type LinePolicy, WaitingLines } from './limits/waiting-lines.ts'

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
  /** What holds from now on; who waits or goes on was let in by what held then. `places`: as of the parts. */
  reconfigure(config: Pick<ServiceConfig, 'limits' | 'politeness'>, places: number): void
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
    policy: linePolicyOf(limits),
    onWaited: (ms, outcome) => metrics.requestWaited(ms, outcome),
  })
  metrics.waiting(() => lines.waiting)
  const createPoliteness = (policy: PolitenessPolicy) =>
    new Politeness({
      ...{ clock, policy },
      onRoom(site, worker) {
        lines.look(LINES.hostBy(site, worker))
        lines.look(LINES.host(site))
      },
    })
  const first = politenessPolicyOf(polite)
  let politeness = first && createPoliteness(first)
  return {
    admission,
    order: {
      lines,
      get politeness() {
        return politeness
      },
    },
    reconfigure(next, nextPlaces) {
      admission.reconfigure(defaultLimits(next.limits, nextPlaces))
      lines.reconfigure(linePolicyOf(next.limits))
      const policy = politenessPolicyOf(next.politeness)
      if (policy === undefined) politeness = undefined
      else if (politeness === undefined) politeness = createPoliteness(policy)
      else politeness.reconfigure(policy)
    },
    get waiting() {
      return lines.waiting
    },
    onRoom({ id, n }) {
      if (lines.waiting === 0) return
      // A client may call it by its number.
      lines.look(LINES.worker(id))
      lines.look(LINES.worker(String(n)))
      lines.look(LINES.pool)
    },
    [Symbol.dispose]: () => admission[Symbol.dispose](),
  }
}

function linePolicyOf({ queue }: ServiceConfig['limits']): LinePolicy {
  return { waitMs: queue.wait, perKey: queue.per_key, total: queue.total }
}

function politenessPolicyOf(polite: ServiceConfig['politeness']): PolitenessPolicy | undefined {
  return polite === 'off' ? undefined : { ...polite, honourRetryAfter: polite.honour_retry_after }
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
