import { type Caller, mayUse } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { JobFetchView, JobOrder, JobView, Page } from '../domain/job.ts'
import type { Jobs } from './jobs.ts'

/** Keeps jobs and does nothing about them, for tests, which say what has become of them. */
export class FakeJobs implements Jobs {
  readonly orders: JobOrder[] = []
  readonly jobs: JobView[] = []
  readonly fetches: JobFetchView[] = []
  /** What the next order is answered with. */
  refusal: CbtorError | undefined

  submit(caller: Caller, order: JobOrder): { job: JobView; isNew: boolean } {
    if (this.refusal) throw this.refusal
    const known = this.orders.findIndex(
      ({ idempotency }) => idempotency !== undefined && idempotency.key === order.idempotency?.key,
    )
    if (known >= 0) return { job: this.jobs[known] as JobView, isNew: false }
    this.orders.push(order)
    const job = fakeJob(`job_${this.jobs.length + 1}`, {
      ...{ owner: caller.id, name: order.name, fetches: order.fetches.length },
      webhook: order.webhook && { url: order.webhook.url, state: 'idle', tries: 0 },
    })
    this.jobs.push(job)
    return { job, isNew: true }
  }

  list(caller: Caller, { owner = caller.id, before, limit }: Parameters<Jobs['list']>[1]): Page<JobView> {
    const from = before ?? 0
    const all = this.jobs.filter((job) => owner === '*' || job.owner === owner).reverse()
    return { items: all.slice(from, from + limit), next: from + limit < all.length ? from + limit : undefined }
  }

  get(caller: Caller, id: string): JobView {
    const job = this.jobs.find((each) => each.id === id && (each.owner === caller.id || mayUse(caller, 'admin')))
    if (job === undefined) throw new CbtorError('job_not_found', 'Cannot find the job')
    return job
  }

  results(
    caller: Caller,
    id: string,
    { from, limit, maxBodyBytes }: Parameters<Jobs['results']>[2],
  ): Page<JobFetchView> {
    this.get(caller, id)
    const items = this.fetches.slice(from, from + limit).map((fetch) => ({
      ...fetch,
      body: fetch.bodyBytes > maxBodyBytes ? ('too-large' as const) : fetch.body,
    }))
    return { items, next: from + limit < this.fetches.length ? from + limit : undefined }
  }

  result(caller: Caller, id: string, n: number): JobFetchView {
    this.get(caller, id)
    const fetch = this.fetches[n]
    if (fetch === undefined) throw new CbtorError('not_found', 'Cannot find the result')
    return fetch
  }

  cancel(caller: Caller, id: string): JobView {
    return this.#change(this.get(caller, id), { state: 'cancelled', endedAt: 2_000 })
  }

  remove(caller: Caller, id: string): JobView {
    const job = this.get(caller, id)
    if (job.state === 'running') throw new CbtorError('conflict', 'Cannot remove the job: it has not ended')
    this.jobs.splice(this.jobs.indexOf(job), 1)
    return job
  }

  #change(job: JobView, change: Partial<JobView>): JobView {
    const changed = { ...job, ...change }
    this.jobs[this.jobs.indexOf(job)] = changed
    return changed
  }
}

function fakeJob(id: string, change: Partial<JobView>): JobView {
  return {
    ...{
      id,
      owner: 'anybody',
      name: undefined,
      state: 'running',
      createdAt: 0,
      endedAt: undefined,
      deadlineAt: 86_400_000,
    },
    fetches: 1,
    tally: {
      waiting: { first: 1, descriptor: 2, circuit: 0, http: 0 },
      running: { first: 0, descriptor: 0, circuit: 0, http: 3 },
      ...{ done: 4, failed: 5, cancelled: 0, nextAt: 30_000 },
    },
    webhook: undefined,
    ...change,
  }
}
