import type { Caller } from '../domain/caller.ts'
import type { JobFetchView, JobOrder, JobView, Page } from '../domain/job.ts'

/** Who has it at hand gives it at once; who asks the shared store promises it. */
type Soon<T> = T | Promise<T>

/**
 * Jobs, as the API needs them. They belong to their caller: those of others do not exist (`job_not_found`), but for admins.
 * Where they are in the shared store, each call may also reject with `store_unavailable`.
 */
export interface Jobs {
  /**
   * `isNew` is false when it had been ordered before, by the same Idempotency-Key. Throws `too_many_jobs`,
   * `idempotency_key_reused`, or what is wrong with the webhook.
   */
  submit(caller: Caller, order: JobOrder): Soon<{ readonly job: JobView; readonly isNew: boolean }>
  /** From the newest on; `before`: what the last page gave as `next`. For admins also those of `owner`, or of everybody (`*`). */
  list(
    caller: Caller,
    page: { readonly owner?: string; readonly before?: number; readonly limit: number },
  ): Soon<Page<JobView>>
  get(caller: Caller, id: string): Soon<JobView>
  /** From fetch `from` on. Bodies of more than `maxBodyBytes` are left out. */
  results(
    caller: Caller,
    id: string,
    page: { readonly from: number; readonly limit: number; readonly maxBodyBytes: number },
  ): Soon<Page<JobFetchView>>
  /** With its whole body. Throws `not_found` for a number that the job does not have. */
  result(caller: Caller, id: string, n: number): Soon<JobFetchView>
  /** Does nothing to a job that has ended. */
  cancel(caller: Caller, id: string): Soon<JobView>
  /** Returns it as it was. Throws `conflict` for one that has not ended. */
  remove(caller: Caller, id: string): Soon<JobView>
}
