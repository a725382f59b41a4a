import type { FetchAnswer } from '../domain/exchange.ts'
import type {
  JobFetch,
  JobFetchView,
  JobState,
  JobTally,
  JobWebhook,
  KeptProblem,
  Page,
  Phase,
  RetryPolicy,
  WebhookDelivery,
} from '../domain/job.ts'

/** A job without its fetches. Instants are epoch ms. */
export interface StoredJob {
  readonly id: string
  readonly owner: string
  readonly name: string | undefined
  readonly state: JobState
  readonly createdAt: number
  readonly endedAt: number | undefined
  readonly deadlineAt: number
  /** How many. */
  readonly fetches: number
  readonly retry: RetryPolicy
  readonly webhook: JobWebhook | undefined
  readonly delivery: WebhookDelivery
}

/** A fetch whose turn it is. */
export interface DueFetch {
  readonly n: number
  readonly request: JobFetch['request']
  /** How many of its tries failed, by how far they had come. */
  readonly failures: Readonly<Record<Phase, number>>
}

export type FetchEnding =
  | { readonly state: 'done'; readonly answer: FetchAnswer }
  | { readonly state: 'failed'; readonly problem: KeptProblem }

/** What was ordered under an Idempotency-Key. */
export interface IdempotencyRecord {
  readonly digest: string
  readonly jobId: string
  readonly at: number
}

/**
 * Jobs that survive a restart, and whatever else ends a process. Each call is one transaction: it happens as a whole or not at all.
 * `test/contracts/job-store-contract.ts` is the promise that every store keeps.
 */
export interface JobStore extends Disposable {
  /** All of its fetches wait, and are due at once. */
  add(
    job: StoredJob,
    fetches: readonly JobFetch[],
    idempotency?: { readonly key: string; readonly digest: string },
  ): void
  job(id: string): StoredJob | undefined
  /** The newest first. `before`: what the last page gave as `next`. */
  list(query: { readonly owner?: string; readonly before?: number; readonly limit: number }): Page<StoredJob>
  /** Those that have not ended, the oldest first. */
  running(): readonly StoredJob[]
  /** Ids of those whose webhook is to be sent. */
  withPendingWebhook(): readonly string[]
  owners(): readonly string[]
  /** How many have not ended: of one caller, or of all. */
  runningCount(owner?: string): number
  countByState(): Readonly<Record<JobState, number>>
  /** With all that belongs to it. */
  remove(id: string): void
  /** From then on its webhook, if it has one, is to be sent. */
  endJob(id: string, state: Exclude<JobState, 'running'>, at: number): void
  setDelivery(id: string, delivery: WebhookDelivery): void

  tally(id: string): JobTally
  /** When the first of those that wait is due, and whether all of the job's fetches have ended. */
  outlook(id: string): { readonly nextAt: number | undefined; readonly isOver: boolean }
  /** The first fetch of the job that waits and whose time has come. */
  due(id: string, now: number): DueFetch | undefined
  /** `isDurable`: resolves only once it would survive a power cut, too. */
  begin(id: string, n: number, options?: { readonly isDurable?: boolean }): void
  /** Back to waiting. `failedIn`: it counts as a try that failed in this phase, for that reason. */
  putOff(
    id: string,
    n: number,
    nextAt: number,
    failedIn?: { readonly phase: Phase; readonly problem?: KeptProblem },
  ): void
  /** Nothing happens to one that has ended. What was to be sent is forgotten, but for the URL and the method. */
  end(id: string, n: number, at: number, ending: FetchEnding): void
  /** All that have not ended are cancelled. */
  cancelRest(id: string, at: number): void
  /** All that wait have failed: for the reason of their last failure, or else for this one. */
  failWaiting(id: string, at: number, problem: KeptProblem): void
  /** Those that were running when the process ended. */
  interrupted(): readonly {
    readonly id: string
    readonly n: number
    readonly method: string
    readonly failuresInHttp: number
  }[]

  /** In order, from `from` on. Bodies of more than `maxBodyBytes` are left out. */
  results(
    id: string,
    page: { readonly from: number; readonly limit: number; readonly maxBodyBytes: number },
  ): Page<JobFetchView>
  /** With its body, whatever its size. */
  result(id: string, n: number): JobFetchView | undefined

  /** How much is kept, about: requests that are to be sent, answers, and what each row costs. */
  bytes(): number
  /** The callers, the one of whom most is kept first. */
  ownersBySize(): readonly string[]
  /** Removes the bodies of the caller's oldest answers, some at a time, and returns how many bytes that was. */
  dropOldestBodies(owner: string): number
  /** Removes the caller's oldest job that has ended; false when there is none. */
  removeOldestEnded(owner: string): boolean
  /** Jobs that ended before, and whatever was ordered by Idempotency-Key before `orderedBefore`. */
  removeEndedBefore(at: number, orderedBefore: number): void
  ordered(owner: string, key: string): IdempotencyRecord | undefined
  /** How many Idempotency-Keys of the caller are known. */
  orderedCount(owner: string): number
}
