/** The jobs of gateways that share a store. Loaded only there: BullMQ is no small thing. */
import type { ServiceConfig } from './config/read-config.ts'
import { SharedJobs, type SharedJobsOptions } from './jobs/shared/shared-jobs.ts'
import { faultFields } from './lib/fault-fields.ts'
import { jobsOptionsOf, type ServiceJobsParts } from './service-jobs.ts'

/** The way into the shared store, for who has one. */
export interface SharedJobsParts
  extends Omit<ServiceJobsParts, 'store'>,
    Pick<SharedJobsOptions, 'link' | 'connection' | 'secret' | 'run'> {}

/** Jobs that all replicas have together. They go on here once `start()` is called, which wants keys to be known by then. */
export function createSharedJobs(config: ServiceConfig, parts: SharedJobsParts): SharedJobs {
  const { logger, link, connection, secret, run } = parts
  return new SharedJobs({
    ...jobsOptionsOf(config, parts),
    ...{ link, connection, secret, run },
    // The link tells of it when the store goes.
    onConnectionError: (error) =>
      logger.debug({ ...faultFields(error) }, 'the queue of jobs had trouble with its store'),
  })
}
