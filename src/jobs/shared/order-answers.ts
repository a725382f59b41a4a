import { CbtorError } from '../../domain/errors.ts'
import type { JobView } from '../../domain/job.ts'
import type { JobsPolicy } from '../jobs.ts'
import type { Added } from './job-ledger.ts'
import type { LedgerJob } from './ledger-rows.ts'

const FULL_FOR_MS = 60_000

/** The id of the job that had been ordered before, if any. Throws why there is none. */
export function admitted(added: Added, { maxJobs, maxJobsPerCaller, maxBytes }: JobsPolicy): string | undefined {
  const full = (why: string) =>
    new CbtorError('too_many_jobs', `Cannot take the job: ${why}`, { retryAfterMs: FULL_FOR_MS })
  switch (added.type) {
    case 'new':
      return undefined
    case 'old':
      return added.id
    case 'reused':
      throw reusedError()
    case 'gone':
      throw removedError()
    case 'room':
      throw full(`as much is kept for jobs as may be, ${maxBytes} bytes`)
    case 'full':
      if (added.why === 'jobs') throw full(`${maxJobs} jobs have not ended`)
      if (added.why === 'own') throw full(`${maxJobsPerCaller} jobs of this key have not ended`)
      throw full('as many Idempotency-Keys of the last 24 hours are known as may be')
  }
}

export function viewOf(job: LedgerJob): JobView {
  const { id, owner, name, state, createdAt, endedAt, deadlineAt, fetches, tally, webhook, delivery } = job
  return {
    ...{ id, owner, name, state, createdAt, endedAt, deadlineAt, fetches, tally },
    webhook: webhook && { ...delivery, url: webhook.url },
  }
}

export function reusedError(): CbtorError {
  return new CbtorError('idempotency_key_reused', 'Cannot take the job: its Idempotency-Key was used for another one')
}

export function removedError(): CbtorError {
  return new CbtorError('job_not_found', 'Cannot find the job of this Idempotency-Key: it was removed')
}
