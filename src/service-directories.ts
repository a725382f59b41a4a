import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { sharedWorkerId } from './cluster/placement.ts'
import type { ServiceConfig } from './config/read-config.ts'

/**
 * Lets local workers keep their directories, and with them their guards, when a gateway begins to share a pool or is alone again: its
 * workers have other names then. One that has a directory by its present name keeps that. Nothing of the state directory may be in use.
 */
export function keepDirectories(config: ServiceConfig): void {
  const { store, state, workers, cluster } = config
  const directory = (id: string) => join(state, 'workers', id)
  for (const { kind, id } of workers) {
    if (kind !== 'local') continue
    const shared = sharedWorkerId(cluster.replica, id)
    const [before, now] = store === 'embedded' ? [shared, id] : [id, shared]
    if (existsSync(directory(before)) && !existsSync(directory(now))) renameSync(directory(before), directory(now))
  }
}
