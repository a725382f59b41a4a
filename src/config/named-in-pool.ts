import { sharedWorkerId } from '../cluster/placement.ts'
import type { ServiceConfig } from './read-config.ts'

/**
 * The configuration of one gateway of a pool as its parts use it: its local workers have its name before their own, such as
 * `gw1-tor01`, since every gateway has a `tor01`, and all of them are to mean the same by a worker's id. A gateway that is alone has
 * them as they are written. `running`: what it was started with, when it is not this: what it is called takes a restart, and so do
 * the names of its workers.
 */
export function namedInPool(config: ServiceConfig, running: ServiceConfig = config): ServiceConfig {
  if (running.store === 'embedded') return config
  const { replica } = running.cluster
  const workers = config.workers.map((worker) =>
    worker.kind === 'local' ? { ...worker, id: sharedWorkerId(replica, worker.id) } : worker,
  )
  return { ...config, workers }
}
