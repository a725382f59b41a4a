import { ConfigError, type ServiceConfig } from './config/read-config.ts'

/** As long as the id of a worker may be, wherever it comes from. */
const MAX_ID = 32

/**
 * The configuration of one gateway of a pool as its parts use it: its local workers have its name before their own, such as
 * `gw1-tor01`, since every gateway has a `tor01`, and all of them are to mean the same by a worker's id. A gateway that is alone has
 * them as they are written. Throws a `ConfigError` with the ids that get too long.
 */
export function namedInPool(config: ServiceConfig): ServiceConfig {
  if (config.store === 'embedded') return config
  const { replica } = config.cluster
  const workers = config.workers.map((worker) =>
    worker.kind === 'local' ? { ...worker, id: `${replica}-${worker.id}` } : worker,
  )
  const faults = workers.flatMap(({ id }, index) =>
    id.length <= MAX_ID
      ? []
      : [
          {
            field: `workers.${index}.id`,
            message: `the name of the gateway stands before it in a shared pool, and "${id}" has more than ${MAX_ID} characters: give a shorter one, or a shorter cluster.replica`,
          },
        ],
  )
  if (faults.length > 0) throw new ConfigError(faults)
  return { ...config, workers }
}
