import type { RedisOptions } from 'ioredis'
import { type StoreLink, StoreRefuses, StoreUnavailable } from '../../cluster/store-link.ts'
import { type Caller, mayUse } from '../../domain/caller.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { JobFetchView, JobOrder, JobView, Page } from '../../domain/job.ts'
import { printable } from '../../lib/printable.ts'
import type { StoredJob } from '../job-store.ts'
import { type JobCounts, type JobsOptions, type JobsPolicy, ORDERED_MS, retryOf } from '../jobs.ts'
import { localTargetOf } from '../local-receivers.ts'
import { Feeder } from './feeder.ts'
import { type Added, JobLedger } from './job-ledger.ts'
import type { LedgerJob } from './ledger-rows.ts'
import { admitted, removedError, reusedError, viewOf } from './order-answers.ts'
import { OwnerWatch } from './owner-watch.ts'
import { SharedHooks } from './shared-hooks.ts'
import { SharedRoom } from './shared-room.ts'
import { SharedRunner } from './shared-runner.ts'
import { UnitQueue } from './unit-queue.ts'

export interface SharedJobsOptions extends Omit<JobsOptions, 'store'> {
  readonly link: StoreLink
  /** As the link's own: to an IP address or a unix socket. */
  readonly connection: RedisOptions
  /** Of the pool: at least 32 bytes. */
  readonly secret: Buffer
  /** Of this run of this replica: another one of its next run. */
  readonly run: string
  /** A connection to the store broke, or BullMQ had something to say. */
  onConnectionError(error: unknown): void
}

const ID_BYTES = 12
const UNAVAILABLE_FOR_MS = 5_000
const UPKEEP_MS = 300_000
const COUNTED_MS = 10_000
const WEBHOOKS_AT_ONCE = 4

/**
 * Jobs in the shared store: whichever replica is asked knows all of them, and each carries out what BullMQ gives to it. As `Jobs`, but
 * every call rejects with `store_unavailable` while the store is away. Fetches that run then end, and are written down when it is back.
 */
export class SharedJobs implements AsyncDisposable {
  readonly #options: SharedJobsOptions
  readonly #ledger: JobLedger
  readonly #runner: SharedRunner
  readonly #hooks: SharedHooks
  readonly #room: SharedRoom
  readonly #turns: UnitQueue
  readonly #webhooks: UnitQueue
  readonly #feeder: Feeder
  readonly #owners: OwnerWatch
  readonly #listening = new DisposableStack()
  readonly #timers = new Map<string, Disposable>()
  #policy: JobsPolicy
  #counts: Omit<JobCounts, 'running'> = { jobs: { running: 0, done: 0, cancelled: 0 }, bytes: 0 }

  constructor(options: SharedJobsOptions) {
    const { clock, link, connection, callers, policy, onConnectionError: onError } = options
    this.#options = options
    this.#policy = policy
    this.#ledger = new JobLedger(options)
    const shared = {
      ...options,
      ledger: this.#ledger,
      callerOf: (owner: string) => callers.find(owner),
      onBug: (error: unknown) => this.#failed(error),
    }
    this.#room = new SharedRoom({ ...shared, maxBytes: policy.maxBytes })
    this.#hooks = new SharedHooks({ ...shared, receivers: policy.receivers })
    this.#runner = new SharedRunner({
      ...shared,
      onEnded: (id) => this.#tell(id),
      onKept: () => this.#room.makeLater(),
      onRefusing: (until) => this.#turns.restUntil(until),
    })
    const queue = { clock, connection, onError, prefix: link.key('bull') }
    this.#turns = new UnitQueue({
      ...{ ...queue, name: 'turns', concurrency: policy.concurrency },
      work: (unit) => this.#runner.turn(unit),
    })
    this.#webhooks = new UnitQueue({
      ...{ ...queue, name: 'webhooks', concurrency: WEBHOOKS_AT_ONCE },
      work: ({ id }) => this.#hooks.send(id),
    })
    const queues = { turns: this.#turns, webhooks: this.#webhooks }
    this.#feeder = new Feeder({ ...shared, ...queues, onError })
    this.#owners = new OwnerWatch({
      ...{ clock, callers },
      onGone: (owner) => this.#runner.dropOwner(owner),
      remove: (owner) => this.#removeAllOf(owner).catch(shared.onBug),
    })
  }

  /** For jobs to come, and for how many fetches go on here at a time; a job keeps the deadline, the retries and how many go on of it. */
  reconfigure(policy: JobsPolicy): void {
    this.#policy = policy
    this.#room.reconfigure(policy.maxBytes)
    this.#hooks.reconfigure(policy.receivers)
    this.#turns.concurrency = policy.concurrency
  }

  /** From now on this replica carries jobs out. The keys must be known by then: what belongs to nobody is removed. */
  start(): void {
    const { link } = this.#options
    this.#listening.use(
      link.subscribe(this.#ledger.stopChannel, (message) => {
        const [what, id = ''] = message.split(' ')
        this.#runner.drop(id)
        if (what === 'gone') this.#hooks.drop(id)
      }),
    )
    this.#listening.use(
      link.onChange((isUp) => {
        if (!isUp) return
        this.#turns.reconnect()
        this.#webhooks.reconnect()
      }),
    )
    this.#runner.start()
    this.#turns.start()
    this.#webhooks.start()
    this.#feeder.start()
    this.#every('upkeep', UPKEEP_MS, () => this.#keepUp())
    this.#every('counts', COUNTED_MS, () => this.#count())
  }

  /** As `Jobs.submit`. With `store_unavailable` it may have been taken: an Idempotency-Key tells when it is ordered again. */
  async submit(caller: Caller, order: JobOrder): Promise<{ readonly job: JobView; readonly isNew: boolean }> {
    const { clock, random, checkUrl } = this.#options
    const policy = this.#policy
    const now = clock.now()
    return await this.#asking(async () => {
      const earlier = await this.#ordered(caller, order, now)
      if (earlier !== undefined) return { job: viewOf(earlier), isNew: false }
      if (order.webhook && localTargetOf(order.webhook.url, policy.receivers) === undefined)
        checkUrl(order.webhook.url, caller)
      const id = `job_${random.bytes(ID_BYTES).toString('base64url')}`
      const job: StoredJob = {
        ...{ id, owner: caller.id, name: order.name, state: 'running', createdAt: now, endedAt: undefined },
        deadlineAt: now + (order.retry.deadlineMs ?? policy.deadlineMs),
        fetches: order.fetches.length,
        retry: retryOf(order.retry, policy.retry),
        ...{ webhook: order.webhook, delivery: { state: 'idle', tries: 0 } },
      }
      let added = await this.#add(job, order, now)
      if (added.type === 'room') {
        await this.#room.make(added.bytes)
        added = await this.#add(job, order, now)
      }
      const known = admitted(added, policy)
      if (known !== undefined) return { job: viewOf(await this.#find(caller, known)), isNew: false }
      this.#owners.watch(caller.id)
      this.#feeder.give().catch(this.#options.onConnectionError)
      return { job: viewOf(await this.#find(caller, id)), isNew: true }
    })
  }

  async list(
    caller: Caller,
    page: { readonly owner?: string; readonly before?: number; readonly limit: number },
  ): Promise<Page<JobView>> {
    const { owner = caller.id, ...rest } = page
    if (owner !== caller.id && !mayUse(caller, 'admin'))
      throw new CbtorError('scope_missing', 'Cannot list the jobs of another key: that takes the scope admin')
    const query = { ...rest, ...(owner !== '*' && { owner }) }
    const { items, next } = await this.#asking(() => this.#ledger.list(query))
    return { items: items.map(viewOf), next }
  }

  async get(caller: Caller, id: string): Promise<JobView> {
    return viewOf(await this.#asking(() => this.#find(caller, id)))
  }

  async results(
    caller: Caller,
    id: string,
    page: { readonly from: number; readonly limit: number; readonly maxBodyBytes: number },
  ): Promise<Page<JobFetchView>> {
    return await this.#asking(async () => await this.#ledger.results((await this.#find(caller, id)).id, page))
  }

  async result(caller: Caller, id: string, n: number): Promise<JobFetchView> {
    return await this.#asking(async () => {
      const job = await this.#find(caller, id)
      const [result] = (await this.#ledger.results(job.id, { from: n, limit: 1 })).items
      if (result !== undefined) return result
      throw new CbtorError('not_found', `Cannot find the result: the job has the fetches 0 to ${job.fetches - 1}`)
    })
  }

  async cancel(caller: Caller, id: string): Promise<JobView> {
    return await this.#asking(async () => {
      const job = await this.#find(caller, id)
      if (await this.#ledger.cancel(id, this.#options.clock.now())) {
        this.#runner.drop(id)
        if (job.webhook) this.#tell(id)
      }
      return viewOf(await this.#find(caller, id))
    })
  }

  async remove(caller: Caller, id: string): Promise<JobView> {
    return await this.#asking(async () => {
      const job = await this.#find(caller, id)
      if (job.state === 'running' || !(await this.#ledger.remove(id)))
        throw new CbtorError('conflict', 'Cannot remove the job: it has not ended. Cancel it first')
      return viewOf(job)
    })
  }

  /** Of all replicas, as they were some seconds ago; `running`: here and now. */
  counts(): JobCounts {
    return { ...this.#counts, running: this.#runner.runningCount }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening.dispose()
    for (const timer of this.#timers.values()) timer[Symbol.dispose]()
    for (const each of [this.#feeder, this.#room, this.#owners]) each[Symbol.dispose]()
    this.#runner.stop()
    this.#hooks.stop()
    await Promise.all([this.#turns.stop(), this.#webhooks.stop()])
    await this.#runner.leave()
  }

  async #ordered(caller: Caller, { idempotency }: JobOrder, now: number): Promise<LedgerJob | undefined> {
    if (idempotency === undefined) return undefined
    const earlier = await this.#ledger.ordered(caller.id, idempotency, now - ORDERED_MS)
    if (earlier === undefined) return undefined
    if (!earlier.isSame) throw reusedError()
    const job = await this.#ledger.job(earlier.id)
    if (job !== undefined) return job
    throw removedError()
  }

  async #add(job: StoredJob, order: JobOrder, now: number): Promise<Added> {
    const { maxJobs, maxJobsPerCaller, concurrencyPerJob } = this.#policy
    const limits = {
      ...{ maxJobs, maxJobsPerCaller, maxBytes: this.#room.maxBytes },
      ...{ slots: concurrencyPerJob, oldestKey: now - ORDERED_MS },
    }
    return await this.#ledger.add(job, order.fetches, limits, order.idempotency)
  }

  async #find(caller: Caller, id: string): Promise<LedgerJob> {
    const job = await this.#ledger.job(id)
    if (job !== undefined && (job.owner === caller.id || mayUse(caller, 'admin'))) return job
    throw new CbtorError('job_not_found', `Cannot find job "${printable(id)}": there is none of this id`)
  }

  #tell(id: string): void {
    this.#feeder.tell(id).catch(this.#options.onConnectionError)
  }

  async #removeAllOf(owner: string): Promise<void> {
    let before: number | undefined
    do {
      const { items, next } = await this.#ledger.list({ owner, limit: 100, ...(before !== undefined && { before }) })
      for (const { id } of items) await this.#ledger.remove(id, true)
      before = next
    } while (before !== undefined)
  }

  /** What has been kept long enough goes, and what belongs to nobody. */
  async #keepUp(): Promise<void> {
    const now = this.#options.clock.now()
    for (const owner of (await this.#ledger.sums()).owners) this.#owners.watch(owner)
    while ((await this.#ledger.sweep(now - this.#policy.retentionMs, now - ORDERED_MS)) > 0);
  }

  async #count(): Promise<void> {
    const { jobs, bytes } = await this.#ledger.sums()
    this.#counts = { jobs, bytes }
  }

  /** At once, and then again and again. */
  #every(name: string, ms: number, work: () => Promise<void>): void {
    work().catch((error) => this.#failed(error))
    this.#timers.set(
      name,
      this.#options.clock.timer(ms, () => this.#every(name, ms, work)),
    )
  }

  /** That the store is away is told elsewhere. */
  #failed(error: unknown): void {
    if (!(error instanceof StoreUnavailable)) this.#options.onBug(error)
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      const why =
        error instanceof StoreRefuses ? 'does not take that now: its memory or disk may be full' : 'cannot be reached'
      throw new CbtorError('store_unavailable', `Cannot ask for jobs: the shared store ${why}`, {
        retryAfterMs: UNAVAILABLE_FOR_MS,
      })
    }
  }
}
