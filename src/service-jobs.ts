/** The jobs of the service: what they need of its other parts. */
import { join } from 'node:path'
import type { KeyRing } from './auth/key-ring.ts'
import type { ServiceConfig } from './config/read-config.ts'
import { ANYBODY } from './domain/caller.ts'
import type { TargetPolicy } from './fetch/target-policy.ts'
import type { JobStore } from './jobs/job-store.ts'
import { Jobs, type JobsOptions, type JobsPolicy } from './jobs/jobs.ts'
import { postLocally } from './jobs/local-post.ts'
import type { SharedJobs } from './jobs/shared/shared-jobs.ts'
import { SqliteJobStore } from './jobs/sqlite-job-store.ts'
import type { Clock } from './lib/clock.ts'
import { faultFields } from './lib/fault-fields.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'

export interface ServiceJobsParts extends Pick<JobsOptions, 'fetch' | 'store'> {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly keys: KeyRing
  /** As the fetcher's. */
  readonly policy: TargetPolicy
}

export function openJobStore(config: ServiceConfig): JobStore {
  return new SqliteJobStore(join(config.state, 'jobs.db'))
}

/** They go on once `start()` is called. */
export function createJobs(config: ServiceConfig, parts: ServiceJobsParts): Jobs {
  return new Jobs({ ...jobsOptionsOf(config, parts), store: parts.store })
}

/** What both kinds of jobs are made of. */
export function jobsOptionsOf(
  config: ServiceConfig,
  { clock, random, logger, keys, policy, fetch }: Omit<ServiceJobsParts, 'store'>,
): Omit<JobsOptions, 'store'> {
  return {
    ...{ clock, random, fetch, postLocally },
    policy: jobsPolicyOf(config),
    callers: {
      find: (id) => (id === ANYBODY.id ? (config.auth === 'off' ? ANYBODY : undefined) : keys.callerOf(id)),
      // Jobs of a time without keys rest while there are keys: turning them off and on loses nothing.
      onGone: (id, listener) => (id === ANYBODY.id ? { [Symbol.dispose]() {} } : keys.onGone(id, listener)),
    },
    checkUrl: (url, caller) => void policy.narrowedBy(caller.targets).checkUrl(url),
    onBug: (error) => logger.error({ ...faultFields(error) }, 'a job failed by a bug'),
  }
}

/** Of this gateway, or of all that share a store. */
export type ServiceJobs = Jobs | SharedJobs

export function jobsPolicyOf({ jobs }: Pick<ServiceConfig, 'jobs'>): JobsPolicy {
  const phase = ({ delays, retries }: (typeof jobs.retry)['http']) => ({ delaysMs: delays, maxRetries: retries })
  const { descriptor, circuit, http } = jobs.retry
  return {
    concurrency: jobs.concurrency,
    concurrencyPerJob: jobs.concurrency_per_job,
    maxJobs: jobs.max_jobs,
    maxJobsPerCaller: jobs.max_jobs_per_key,
    maxBytes: jobs.max_stored,
    retentionMs: jobs.retention,
    deadlineMs: jobs.deadline,
    retry: { phases: { descriptor: phase(descriptor), circuit: phase(circuit), http: phase(http) }, statuses: [] },
    receivers: jobs.webhook_allow,
  }
}
