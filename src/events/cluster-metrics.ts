import type { Instruments } from './instruments.ts'

/** The store, and the gateways that share it, at the moment of a scrape. */
export interface ClusterGauges {
  readonly storeUp: boolean
  /** Changes that the store does not have yet. */
  readonly pendingWrites: number
  readonly replicas: number
  readonly healedWorkers: number
}

/** Registers what is asked of the cluster at each scrape. A gateway that is alone has a store of its own, and is the one replica. */
export function registerClusterMetrics(make: Instruments, cluster: () => ClusterGauges): void {
  make.gauge('store_up', '1 if the store answers.', [], (gauge) => gauge.set(Number(cluster().storeUp)))
  make.gauge('store_pending_writes', 'Changes that the store does not have yet.', [], (gauge) =>
    gauge.set(cluster().pendingWrites),
  )
  make.gauge('replicas', 'Gateways of the pool that live, this one among them, as far as is known here.', [], (gauge) =>
    gauge.set(cluster().replicas),
  )
  make.gauge(
    'healed_workers',
    'Workers that several gateways reach and this one heals; alone, all of them.',
    [],
    (gauge) => gauge.set(cluster().healedWorkers),
  )
}
