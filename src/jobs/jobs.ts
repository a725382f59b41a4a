import { type Caller, mayUse } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest } from '../domain/exchange.ts'
import type { JobFetchView, JobOrder, JobState, JobView, Page, RetryPolicy } from '../domain/job.ts'
import { PHASES } from '../domain/job.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import type { Random } from '../lib/random.ts'
import { JobRoom } from './job-room.ts'
import { JobRunner } from './job-runner.ts'
import type { JobStore, StoredJob } from './job-store.ts'
import { ROW_BYTES, requestText } from './kept.ts'
import { type LocalReceiver, localTargetOf } from './local-receivers.ts'
import { WebhookSender, type WebhookSenderOptions } from './webhook-sender.ts'

export interface JobsPolicy {
  /** Fetches that go on at the same time: of all jobs, */
  readonly concurrency: number
  /** and of one. */
  readonly concurrencyPerJob: number
  /** Jobs that have not ended: of all callers, */
  readonly maxJobs: number
  /** and of one. */
  readonly maxJobsPerCaller: number
  /** What is kept at most, about: what is to be sent, and answers. */
  readonly maxBytes: number
  /** How long a job that has ended is kept. */
  readonly retentionMs: number
  /** How long a job may go on if its caller does not say. */
  readonly deadlineMs: number
  readonly retry: RetryPolicy
  /** Who may be told without Tor that a job has ended. */
  readonly receivers: readonly LocalReceiver[]
}

/** Whom jobs belong to. */
export interface JobCallers {
  /** Undefined while nobody knows. */
  find(id: string): Caller | undefined
  /** Calls `listener` once when the caller is none any more: at once if it is none already. */
  onGone(id: string, listener: () => void): Disposable
}

export interface JobsOptions extends Pick<WebhookSenderOptions, 'postLocally' | 'onBug'> {
  readonly clock: Clock
  readonly random: Random
  readonly store: JobStore
  readonly policy: JobsPolicy
  readonly callers: JobCallers
  /** As a caller's own fetch, so that limits, politeness and target rules hold. */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** Throws the problem of a URL that the caller may not reach. */
  checkUrl(url: string, caller: Caller): void
}

export interface JobCounts {
  readonly jobs: Readonly<Record<JobState, number>>
  /** Fetches that go on now. */
  readonly running: number
  readonly bytes: number
}

/** How long an Idempotency-Key is known. */
export const ORDERED_MS = 24 * 60 * 60 * 1_000
/** A caller's keys of one day; each of them costs a row. */
const MAX_ORDERED = 10_000
const HOUR_MS = 60 * 60 * 1_000
const ID_BYTES = 12
const FULL_FOR_MS = 60_000

/** All jobs: what callers order, see, cancel and remove. Those of others do not exist, but for admins. */
export class Jobs implements AsyncDisposable {
  readonly #options: JobsOptions
  readonly #runner: JobRunner
  readonly #webhooks: WebhookSender
  readonly #room: JobRoom
  /** By owner. */
  readonly #onGone = new Map<string, Disposable>()
  #policy: JobsPolicy
  #upkeep: Disposable | undefined

  constructor(options: JobsOptions) {
    this.#options = options
    this.#policy = options.policy
    const { policy, callers } = options
    const { concurrency, concurrencyPerJob, receivers, maxBytes } = policy
    this.#room = new JobRoom({ ...options, maxBytes })
    const shared = { ...options, callerOf: (owner: string) => callers.find(owner) }
    this.#webhooks = new WebhookSender({ ...shared, receivers })
    this.#runner = new JobRunner({
      ...shared,
      ...{ concurrency, concurrencyPerJob },
      onEnded: (id) => this.#webhooks.add(id),
      onKept: () => this.#room.make(),
    })
  }

  /** For jobs to come, and for how many fetches go on at a time; a job keeps the deadline and the retries that it was taken with. */
  reconfigure(policy: JobsPolicy): void {
    this.#policy = policy
    this.#room.reconfigure(policy.maxBytes)
    this.#webhooks.reconfigure(policy.receivers)
    this.#runner.reconfigure(policy)
  }

  /** Goes on with what the last process left. */
  start(): void {
    for (const owner of this.#options.store.owners()) this.#watch(owner)
    this.#keepUp()
    this.#runner.start()
    this.#webhooks.start()
  }

  /**
   * Writes the job down, and it begins. `isNew` is false when it had been ordered before, by the same Idempotency-Key. Throws
   * `too_many_jobs`, `idempotency_key_reused`, `job_not_found` for one that was ordered and removed, or what is wrong with the webhook.
   */
  submit(caller: Caller, order: JobOrder): { readonly job: JobView; readonly isNew: boolean } {
    const { clock, random, store } = this.#options
    const policy = this.#policy
    const now = clock.now()
    const earlier = this.#ordered(caller, order, now)
    if (earlier !== undefined) return { job: this.#view(earlier), isNew: false }
    if (order.webhook && localTargetOf(order.webhook.url, policy.receivers) === undefined)
      this.#options.checkUrl(order.webhook.url, caller)
    this.#checkRoom(caller, order)

    const job: StoredJob = {
      id: `job_${random.bytes(ID_BYTES).toString('base64url')}`,
      owner: caller.id,
      name: order.name,
      state: 'running',
      createdAt: now,
      endedAt: undefined,
      deadlineAt: now + (order.retry.deadlineMs ?? policy.deadlineMs),
      fetches: order.fetches.length,
      retry: retryOf(order.retry, policy.retry),
      webhook: order.webhook,
      delivery: { state: 'idle', tries: 0 },
    }
    store.add(job, order.fetches, order.idempotency)
    this.#watch(caller.id)
    this.#runner.add(job)
    return { job: this.#view(store.job(job.id) ?? job), isNew: true }
  }

  /** The caller's own, from the newest on; for admins also those of `owner`, or of everybody (`*`). */
  list(
    caller: Caller,
    page: { readonly owner?: string; readonly before?: number; readonly limit: number },
  ): Page<JobView> {
    const { owner = caller.id, ...rest } = page
    if (owner !== caller.id && !mayUse(caller, 'admin'))
      throw new CbtorError('scope_missing', 'Cannot list the jobs of another key: that takes the scope admin')
    const { items, next } = this.#options.store.list({ ...rest, ...(owner !== '*' && { owner }) })
    return { items: items.map((job) => this.#view(job)), next }
  }

  /** Throws `job_not_found`, as all below do. */
  get(caller: Caller, id: string): JobView {
    return this.#view(this.#find(caller, id))
  }

  results(
    caller: Caller,
    id: string,
    page: { readonly from: number; readonly limit: number; readonly maxBodyBytes: number },
  ): Page<JobFetchView> {
    return this.#options.store.results(this.#find(caller, id).id, page)
  }

  /** One fetch with its whole body. */
  result(caller: Caller, id: string, n: number): JobFetchView {
    const { id: found, fetches } = this.#find(caller, id)
    const result = this.#options.store.result(found, n)
    if (result !== undefined) return result
    throw new CbtorError('not_found', `Cannot find the result: the job has the fetches 0 to ${fetches - 1}`)
  }

  /** Running fetches end at once, waiting ones are dropped; results stay. Does nothing to a job that has ended. */
  cancel(caller: Caller, id: string): JobView {
    const { store, clock } = this.#options
    const { state } = this.#find(caller, id)
    if (state === 'running') {
      const now = clock.now()
      store.cancelRest(id, now)
      store.endJob(id, 'cancelled', now)
      this.#runner.drop(id)
      this.#webhooks.add(id)
    }
    return this.get(caller, id)
  }

  /** Forgets a job that has ended, with its results. Throws `conflict` for one that has not. Returns it as it was. */
  remove(caller: Caller, id: string): JobView {
    const job = this.get(caller, id)
    if (job.state === 'running')
      throw new CbtorError('conflict', 'Cannot remove the job: it has not ended. Cancel it first')
    this.#remove(id)
    return job
  }

  counts(): JobCounts {
    const { store } = this.#options
    return { jobs: store.countByState(), running: this.#runner.runningCount, bytes: store.bytes() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#upkeep?.[Symbol.dispose]()
    this.#room[Symbol.dispose]()
    for (const listening of this.#onGone.values()) listening[Symbol.dispose]()
    await Promise.all([this.#runner.stop(), this.#webhooks.stop()])
  }

  #ordered(caller: Caller, { idempotency }: JobOrder, now: number): StoredJob | undefined {
    if (idempotency === undefined) return undefined
    const { store } = this.#options
    const earlier = store.ordered(caller.id, idempotency.key)
    if (earlier === undefined || earlier.at + ORDERED_MS <= now) return undefined
    if (earlier.digest !== idempotency.digest)
      throw new CbtorError(
        'idempotency_key_reused',
        'Cannot take the job: its Idempotency-Key was used for another one',
      )
    const job = store.job(earlier.jobId)
    if (job !== undefined) return job
    throw new CbtorError('job_not_found', 'Cannot find the job of this Idempotency-Key: it was removed')
  }

  #checkRoom(caller: Caller, order: JobOrder): void {
    const { store } = this.#options
    const policy = this.#policy
    const full = (why: string) =>
      new CbtorError('too_many_jobs', `Cannot take the job: ${why}`, { retryAfterMs: FULL_FOR_MS })
    if (store.runningCount() >= policy.maxJobs) throw full(`${policy.maxJobs} jobs have not ended`)
    if (store.runningCount(caller.id) >= policy.maxJobsPerCaller)
      throw full(`${policy.maxJobsPerCaller} jobs of this key have not ended`)
    if (order.idempotency && store.orderedCount(caller.id) >= MAX_ORDERED)
      throw full(`${MAX_ORDERED} Idempotency-Keys of the last 24 hours are known`)
    const bytes = order.fetches.reduce((sum, { request }) => sum + ROW_BYTES + requestText(request).length, ROW_BYTES)
    if (!this.#room.has(bytes)) throw full(`as much is kept for jobs as may be, ${policy.maxBytes} bytes`)
  }

  /** What has been kept long enough goes. */
  #keepUp(): void {
    const { store, clock, onBug } = this.#options
    const now = clock.now()
    try {
      store.removeEndedBefore(now - this.#policy.retentionMs, now - ORDERED_MS)
    } catch (error) {
      onBug(error)
    }
    this.#upkeep = clock.timer(HOUR_MS, () => this.#keepUp())
  }

  /** A caller that is none any more leaves no jobs. */
  #watch(owner: string): void {
    if (this.#onGone.has(owner)) return
    const listening = this.#options.callers.onGone(owner, () => {
      this.#onGone.delete(owner)
      this.#removeAllOf(owner)
    })
    this.#onGone.set(owner, listening)
  }

  /** Where the store cannot be written they end all the same, and are removed at the next start. */
  #removeAllOf(owner: string): void {
    const { store, onBug } = this.#options
    let before: number | undefined
    do {
      const { items, next } = store.list({ owner, limit: 100, ...(before !== undefined && { before }) })
      for (const { id } of items) {
        try {
          this.#remove(id)
        } catch (error) {
          onBug(error)
        }
      }
      before = next
    } while (before !== undefined)
  }

  #remove(id: string): void {
    this.#runner.drop(id)
    this.#webhooks.drop(id)
    this.#options.store.remove(id)
  }

  #find(caller: Caller, id: string): StoredJob {
    const job = this.#options.store.job(id)
    if (job !== undefined && (job.owner === caller.id || mayUse(caller, 'admin'))) return job
    throw new CbtorError('job_not_found', `Cannot find job "${printable(id)}": there is none of this id`)
  }

  #view(job: StoredJob): JobView {
    const { id, owner, name, state, createdAt, endedAt, deadlineAt, fetches, webhook, delivery } = job
    return {
      ...{ id, owner, name, state, createdAt, endedAt, deadlineAt, fetches },
      tally: this.#options.store.tally(id),
      webhook: webhook && { ...delivery, url: webhook.url },
    }
  }
}

export function retryOf({ maxRetries = {}, statuses }: JobOrder['retry'], policy: RetryPolicy): RetryPolicy {
  const phases = { ...policy.phases }
  for (const phase of PHASES)
    phases[phase] = { ...phases[phase], maxRetries: maxRetries[phase] ?? phases[phase].maxRetries }
  return { phases, statuses: statuses ?? policy.statuses }
}
