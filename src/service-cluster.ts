/** What gateways share that are one pool; alone, what one gateway has for itself. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { ReplicasView } from './api/views.ts'
import type { ServiceConfig } from './config/read-config.ts'
import type { Clock } from './lib/clock.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import type { Store } from './store/store.ts'

export interface ClusterParts {
  readonly clock: Clock
  readonly version: string
  /** Instead of the one that the configuration says. */
  readonly store?: Store | undefined
}

/** Dispose it after everything that uses it. */
export interface Cluster extends AsyncDisposable {
  readonly store: Store
  view(): ReplicasView
}

export async function openCluster(config: ServiceConfig, parts: ClusterParts): Promise<Cluster> {
  return alone(config, parts)
}

function alone(config: ServiceConfig, { clock, version, store: given }: ClusterParts): Cluster {
  const store = given ?? new SqliteStore(join(config.state, 'cbtor.db'))
  const self = { name: hostname(), version, startedAt: clock.now(), isSelf: true, heals: config.workers.length }
  return {
    store,
    view: () => ({ store: { kind: 'embedded', isUp: true, downSince: undefined, pending: 0 }, replicas: [self] }),
    [Symbol.asyncDispose]: async () => store[Symbol.dispose](),
  }
}
