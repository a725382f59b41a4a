import type { JobFetch, JobFetchView, JobState, JobTally, Page, Phase, WebhookDelivery } from '../domain/job.ts'
import type { DueFetch, FetchEnding, IdempotencyRecord, JobStore, StoredJob } from './job-store.ts'
import { answerText, noTally, ROW_BYTES, requestText } from './kept.ts'

interface Entry {
  view: JobFetchView
  request: JobFetch['request'] | undefined
  failures: Record<Phase, number>
  body: Uint8Array | 'removed' | undefined
}

interface JobEntry {
  job: StoredJob
  readonly position: number
  readonly fetches: Entry[]
}

/** What outlasts one opening of the store. */
export class MemoryJobs {
  readonly jobs = new Map<string, JobEntry>()
  readonly ordered = new Map<string, IdempotencyRecord>()
  position = 0
}

/** Keeps jobs in memory, for tests. */
export class MemoryJobStore implements JobStore {
  readonly #kept: MemoryJobs

  constructor(kept = new MemoryJobs()) {
    this.#kept = kept
  }

  add(
    job: StoredJob,
    fetches: readonly JobFetch[],
    idempotency?: { readonly key: string; readonly digest: string },
  ): void {
    const entries = fetches.map(({ request, responseEncoding }, n) => ({
      view: {
        ...{ n, url: request.url, method: request.method, responseEncoding },
        ...{ state: 'waiting' as const, phase: undefined, tries: 0, nextAt: job.createdAt, endedAt: undefined },
        ...{ answer: undefined, body: undefined, bodyBytes: 0, problem: undefined },
      },
      request,
      failures: { descriptor: 0, circuit: 0, http: 0 },
      body: undefined,
    }))
    this.#kept.jobs.set(job.id, { job, position: ++this.#kept.position, fetches: entries })
    if (idempotency === undefined) return
    const { key, digest } = idempotency
    this.#kept.ordered.set(orderKey(job.owner, key), { digest, jobId: job.id, at: job.createdAt })
  }

  job(id: string): StoredJob | undefined {
    return this.#kept.jobs.get(id)?.job
  }

  list({
    owner,
    before = Number.POSITIVE_INFINITY,
    limit,
  }: {
    owner?: string
    before?: number
    limit: number
  }): Page<StoredJob> {
    const all = this.#all().filter(({ job, position }) => position < before && (owner ?? job.owner) === job.owner)
    const items = all.reverse().slice(0, limit)
    return { items: items.map(({ job }) => job), next: all.length > limit ? items.at(-1)?.position : undefined }
  }

  running(): readonly StoredJob[] {
    return this.#all().flatMap(({ job }) => (job.state === 'running' ? [job] : []))
  }

  withPendingWebhook(): readonly string[] {
    return this.#all().flatMap(({ job }) => (job.delivery.state === 'pending' ? [job.id] : []))
  }

  owners(): readonly string[] {
    return [...new Set(this.#all().map(({ job }) => job.owner))].sort()
  }

  runningCount(owner?: string): number {
    return this.running().filter((job) => (owner ?? job.owner) === job.owner).length
  }

  countByState(): Record<JobState, number> {
    const counts = { running: 0, done: 0, cancelled: 0 }
    for (const { job } of this.#all()) counts[job.state]++
    return counts
  }

  remove(id: string): void {
    this.#kept.jobs.delete(id)
  }

  endJob(id: string, state: Exclude<JobState, 'running'>, at: number): void {
    const delivery: WebhookDelivery = { state: 'pending', tries: 0, nextAt: at }
    this.#change(id, { state, endedAt: at, ...(this.job(id)?.webhook && { delivery }) })
  }

  setDelivery(id: string, delivery: WebhookDelivery): void {
    this.#change(id, { delivery })
  }

  tally(id: string): JobTally {
    const tally = noTally()
    for (const { view } of this.#fetches(id)) {
      const { state, phase = 'first', nextAt } = view
      if (state === 'waiting' || state === 'running') tally[state][phase]++
      else tally[state]++
      if (state === 'waiting') tally.nextAt = Math.min(tally.nextAt ?? Number.POSITIVE_INFINITY, nextAt ?? 0)
    }
    return tally
  }

  outlook(id: string): { nextAt: number | undefined; isOver: boolean } {
    return { nextAt: this.tally(id).nextAt, isOver: this.#fetches(id).every(hasEnded) }
  }

  due(id: string, now: number): DueFetch | undefined {
    const [first] = this.#fetches(id)
      .filter(({ view }) => view.state === 'waiting' && (view.nextAt ?? 0) <= now)
      .sort((a, b) => (a.view.nextAt ?? 0) - (b.view.nextAt ?? 0) || a.view.n - b.view.n)
    return first?.request && { n: first.view.n, request: first.request, failures: { ...first.failures } }
  }

  begin(id: string, n: number): void {
    this.#set(id, n, { state: 'running', nextAt: undefined })
  }

  putOff(id: string, n: number, nextAt: number, failedIn?: Parameters<JobStore['putOff']>[3]): void {
    const entry = this.#fetches(id)[n]
    if (entry?.view.state !== 'running') return
    this.#set(id, n, { state: 'waiting', nextAt })
    if (failedIn === undefined) return
    const { phase, problem = entry.view.problem } = failedIn
    entry.failures[phase]++
    this.#set(id, n, { phase, problem, tries: entry.view.tries + 1 })
  }

  end(id: string, n: number, at: number, ending: FetchEnding): void {
    const entry = this.#fetches(id)[n]
    if (entry === undefined || hasEnded(entry)) return
    const tries = entry.view.tries + 1
    if (ending.state === 'done') {
      const { body, ...answer } = ending.answer
      entry.body = body
      this.#set(id, n, { state: 'done', tries, endedAt: at, answer, bodyBytes: body.length, problem: undefined })
    } else this.#set(id, n, { state: 'failed', tries, endedAt: at, problem: ending.problem })
    this.#forgetRequest(entry)
  }

  cancelRest(id: string, at: number): void {
    for (const entry of this.#fetches(id)) {
      if (hasEnded(entry)) continue
      this.#set(id, entry.view.n, { state: 'cancelled', endedAt: at })
      this.#forgetRequest(entry)
    }
  }

  failWaiting(id: string, at: number, problem: JobFetchView['problem']): void {
    for (const entry of this.#fetches(id)) {
      if (entry.view.state !== 'waiting') continue
      this.#set(id, entry.view.n, { state: 'failed', endedAt: at, problem: entry.view.problem ?? problem })
      this.#forgetRequest(entry)
    }
  }

  interrupted(): { id: string; n: number; method: string; failuresInHttp: number }[] {
    return this.#all().flatMap(({ job, fetches }) =>
      fetches.flatMap(({ view: { n, method, state }, failures }) =>
        state === 'running' ? [{ id: job.id, n, method, failuresInHttp: failures.http }] : [],
      ),
    )
  }

  results(
    id: string,
    { from, limit, maxBodyBytes }: { from: number; limit: number; maxBodyBytes: number },
  ): Page<JobFetchView> {
    const all = this.#fetches(id)
    const items = all.slice(from, from + limit).map((entry) => shown(entry, maxBodyBytes))
    return { items, next: from + limit < all.length ? from + limit : undefined }
  }

  result(id: string, n: number): JobFetchView | undefined {
    const entry = this.#fetches(id)[n]
    return entry && shown(entry, Number.POSITIVE_INFINITY)
  }

  bytes(): number {
    return this.#all().reduce((sum, each) => sum + bytesOf(each), 0)
  }

  ownersBySize(): readonly string[] {
    const byOwner = new Map<string, number>()
    for (const each of this.#all()) byOwner.set(each.job.owner, (byOwner.get(each.job.owner) ?? 0) + bytesOf(each))
    return [...byOwner].sort(([, a], [, b]) => b - a).map(([owner]) => owner)
  }

  dropOldestBodies(owner: string): number {
    const [oldest] = this.#all()
      .filter(({ job }) => job.owner === owner)
      .flatMap(({ fetches }) => fetches.filter(({ body }) => body instanceof Uint8Array && body.length > 0))
      .sort((a, b) => (a.view.endedAt ?? 0) - (b.view.endedAt ?? 0))
    if (!(oldest?.body instanceof Uint8Array)) return 0
    const freed = oldest.body.length
    oldest.body = 'removed'
    return freed
  }

  removeOldestEnded(owner: string): boolean {
    const [oldest] = this.#all()
      .flatMap(({ job }) => (job.owner === owner && job.state !== 'running' ? [job] : []))
      .sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0))
    if (oldest) this.remove(oldest.id)
    return oldest !== undefined
  }

  removeEndedBefore(at: number, orderedBefore: number): void {
    for (const { job } of this.#all()) if (job.endedAt !== undefined && job.endedAt < at) this.remove(job.id)
    for (const [key, order] of this.#kept.ordered) if (order.at < orderedBefore) this.#kept.ordered.delete(key)
  }

  ordered(owner: string, key: string): IdempotencyRecord | undefined {
    return this.#kept.ordered.get(orderKey(owner, key))
  }

  orderedCount(owner: string): number {
    return [...this.#kept.ordered.keys()].filter((key) => key.startsWith(orderKey(owner, ''))).length
  }

  [Symbol.dispose](): void {}

  #all(): JobEntry[] {
    return [...this.#kept.jobs.values()]
  }

  #fetches(id: string): Entry[] {
    return this.#kept.jobs.get(id)?.fetches ?? []
  }

  #change(id: string, change: Partial<StoredJob>): void {
    const entry = this.#kept.jobs.get(id)
    if (entry) entry.job = { ...entry.job, ...change }
  }

  #set(id: string, n: number, change: Partial<JobFetchView>): void {
    const entry = this.#fetches(id)[n]
    if (entry) entry.view = { ...entry.view, ...change }
  }

  #forgetRequest(entry: Entry): void {
    entry.request = undefined
    entry.view = { ...entry.view, nextAt: undefined }
  }
}

function hasEnded({ view }: Entry): boolean {
  return view.state !== 'waiting' && view.state !== 'running'
}

function shown({ view, body }: Entry, maxBodyBytes: number): JobFetchView {
  return { ...view, body: body instanceof Uint8Array && body.length > maxBodyBytes ? 'too-large' : body }
}

function bytesOf({ fetches }: JobEntry): number {
  const of = ({ request, body, view }: Entry) =>
    (request ? requestText(request).length : 0) +
    (body instanceof Uint8Array ? body.length : 0) +
    (view.answer ? answerText({ ...view.answer, body: new Uint8Array() }).length : 0)
  return ROW_BYTES + fetches.reduce((sum, each) => sum + ROW_BYTES + of(each), 0)
}

/** JSON, so that no owner can pose as another one's key. */
function orderKey(owner: string, key: string): string {
  return `${JSON.stringify(owner)} ${key}`
}
