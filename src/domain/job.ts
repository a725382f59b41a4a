import type { Attempt, FailureReceipt, FetchAnswer, FetchRequest, Redirect } from './exchange.ts'
import type { ProblemCode } from './problems.ts'

/** How far a fetch had come when it failed: what the wait before its next try depends on. */
export const PHASES = ['descriptor', 'circuit', 'http'] as const
export type Phase = (typeof PHASES)[number]

export const JOB_STATES = ['running', 'done', 'cancelled'] as const
export type JobState = (typeof JOB_STATES)[number]

/** `waiting`: for its turn or for its next try. The last three are ends. */
export const JOB_FETCH_STATES = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const
export type JobFetchState = (typeof JOB_FETCH_STATES)[number]

export interface PhasePolicy {
  /** The ceilings of the waits before the first further try, the second and so on; the last one is that of all others. */
  readonly delaysMs: readonly number[]
  /** How many further tries failures of this phase are worth. */
  readonly maxRetries: number
}

/** When a job's fetches are tried again. */
export interface RetryPolicy {
  readonly phases: Readonly<Record<Phase, PhasePolicy>>
  /** Statuses of the target that are no answer yet. */
  readonly statuses: readonly number[]
}

export interface JobWebhook {
  readonly url: string
  /** What its body is signed with; it is not signed without one. */
  readonly secret?: string
}

/** One fetch of a job as it was ordered. Who asks is the job's owner. */
export interface JobFetch {
  readonly request: Omit<FetchRequest, 'caller'>
  /** How its body is to be written when it is shown. */
  readonly responseEncoding: 'auto' | 'text' | 'base64'
}

export interface JobOrder {
  readonly name?: string
  readonly fetches: readonly JobFetch[]
  /** What is left out is as configured. */
  readonly retry: {
    readonly deadlineMs?: number
    readonly maxRetries?: Readonly<Partial<Record<Phase, number>>>
    readonly statuses?: readonly number[]
  }
  readonly webhook?: JobWebhook
  /** An order with the same key, by the same caller, is the same order. `digest`: of all that the order says. */
  readonly idempotency?: { readonly key: string; readonly digest: string }
}

/** How a webhook stands. Instants are epoch ms. */
export interface WebhookDelivery {
  /** `idle`: the job has not ended. */
  readonly state: 'idle' | 'pending' | 'delivered' | 'failed'
  readonly tries: number
  /** When it is sent, or sent again. */
  readonly nextAt?: number
  /** What the last try came to: the status of the receiver, or the code of a problem. */
  readonly outcome?: string
}

/** How many fetches are in which state; of those that wait or run, what their last failure was about (`first`: there was none). */
export interface JobTally {
  readonly waiting: Readonly<Record<Phase | 'first', number>>
  readonly running: Readonly<Record<Phase | 'first', number>>
  readonly done: number
  readonly failed: number
  readonly cancelled: number
  /** The earliest next try of those that wait. */
  readonly nextAt: number | undefined
}

export interface JobView {
  readonly id: string
  /** The id of the caller it belongs to. */
  readonly owner: string
  readonly name: string | undefined
  readonly state: JobState
  readonly createdAt: number
  readonly endedAt: number | undefined
  /** What has not been answered then is not tried again. */
  readonly deadlineAt: number
  readonly fetches: number
  readonly tally: JobTally
  readonly webhook: (WebhookDelivery & { readonly url: string }) | undefined
}

/** A problem that can be kept: an error without its stack. */
export interface KeptProblem {
  readonly code: ProblemCode
  readonly message: string
  readonly attempts: readonly Attempt[]
  readonly redirects: readonly Redirect[]
  readonly receipt?: FailureReceipt
}

export interface JobFetchView {
  /** From 0, in the order of the fetches. */
  readonly n: number
  readonly url: string
  readonly method: string
  readonly responseEncoding: JobFetch['responseEncoding']
  readonly state: JobFetchState
  /** What its last failure was about. */
  readonly phase: Phase | undefined
  /** How often it was tried; tries that this service refused do not count. */
  readonly tries: number
  readonly nextAt: number | undefined
  readonly endedAt: number | undefined
  /** Of one that is done. */
  readonly answer: Omit<FetchAnswer, 'body'> | undefined
  /** `too-large`: ask for this result alone; `removed`: it is no longer kept; undefined: there is none. */
  readonly body: Uint8Array | 'too-large' | 'removed' | undefined
  readonly bodyBytes: number
  /** Why it failed, or failed last. */
  readonly problem: KeptProblem | undefined
}

/** Some of a list, and where the next ones begin. */
export interface Page<T> {
  readonly items: readonly T[]
  /** Undefined after the last one. */
  readonly next: number | undefined
}
