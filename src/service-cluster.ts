/** What gateways share that are one pool; alone, what one gateway has for itself. */
import { join } from 'node:path'
import type { ReplicasView } from './api/views.ts'
import type { EventStream } from './cluster/event-stream.ts'
import type { HealthShare } from './cluster/health-share.ts'
import type { SharedRegisters } from './cluster/shared-registers.ts'
import type { ValkeyLeases } from './cluster/valkey-leases.ts'
import type { ValkeyLink } from './cluster/valkey-link.ts'
import type { ValkeyPresence } from './cluster/valkey-presence.ts'
import type { ServiceConfig } from './config/read-config.ts'
import type { ClusterGauges } from './events/cluster-metrics.ts'
import type { SharedJobs } from './jobs/shared/shared-jobs.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import type { ServiceJobsParts } from './service-jobs.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import type { Store } from './store/store.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface ClusterParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly version: string
  /** Instead of the embedded one. */
  readonly store?: Store | undefined
  readonly storeWait?: StoreWait | undefined
}

/** How long a shared store that cannot be reached may take to come; not at all when left out. */
export interface StoreWait {
  /** `Infinity`: until the signal aborts. */
  readonly ms: number
  /** Told what is waited for: when it begins, and when the reason is another. */
  onWait(reason: string): void
}

/** What several gateways have in common. */
export interface Shared {
  readonly link: ValkeyLink
  /** The pool's. */
  readonly secret: Buffer
  readonly registers: SharedRegisters
  readonly presence: ValkeyPresence
  readonly leases: ValkeyLeases
  readonly events: EventStream
  readonly health: HealthShare
  /** Jobs that all gateways have together. */
  createJobs(parts: Omit<ServiceJobsParts, 'store'>): SharedJobs
}

/** Dispose it after everything that uses it. */
export interface Cluster extends AsyncDisposable {
  readonly store: Store
  /** Undefined: this gateway is alone. */
  readonly shared: Shared | undefined
  /** Whether this gateway does what one of them does for all. It may change any time, and for a moment there may be two. */
  leads(): boolean
  /** Whether what a worker needs now and then is for this gateway to do. */
  heals(worker: ClusterWorker): boolean
  /** `workers`: those of this gateway's pool. */
  view(workers: readonly ClusterWorker[]): ReplicasView
}

export type ClusterWorker = Pick<WorkerUnit, 'name' | 'reach'>

/** Rejects with a `StoreError` when a shared store is wanted and cannot be had. */
export async function openCluster(config: ServiceConfig, parts: ClusterParts, signal: AbortSignal): Promise<Cluster> {
  return parts.store !== undefined || config.store === 'embedded'
    ? alone(config, parts)
    : await (await import('./service-together.ts')).together(config, parts, signal)
}

function alone(config: ServiceConfig, { clock, version, store: given }: ClusterParts): Cluster {
  const store = given ?? new SqliteStore(join(config.state, 'cbtor.db'))
  const self = { name: config.cluster.replica, version, startedAt: clock.now(), isSelf: true }
  return {
    store,
    shared: undefined,
    leads: () => true,
    heals: () => true,
    view: (workers) => ({
      store: { kind: 'embedded', isUp: true, downSince: undefined, pending: 0 },
      replicas: [{ ...self, heals: workers.length }],
    }),
    [Symbol.asyncDispose]: async () => store[Symbol.dispose](),
  }
}

/** What the metrics tell of it. */
export function clusterGauges({ store, replicas }: ReplicasView): ClusterGauges {
  return {
    storeUp: store.isUp,
    pendingWrites: store.pending,
    replicas: replicas.length,
    healedWorkers: replicas.find(({ isSelf }) => isSelf)?.heals ?? 0,
  }
}
