import { DelayedError, type Job, Queue, WaitingError, Worker } from 'bullmq'
import { Redis, type RedisOptions } from 'ioredis'
import type { Clock } from '../../lib/clock.ts'

export interface Unit {
  readonly id: string
  /** Of the job. */
  readonly owner: string
  /** The lower, the sooner; from 1 on. */
  readonly tag: number
}

/** What becomes of a unit that was worked on. */
export type UnitEnd =
  | { readonly type: 'over' }
  /** In line again, behind those with lower tags. */
  | { readonly type: 'line'; readonly tag: number }
  | { readonly type: 'sleep'; readonly at: number }
  /** Another replica takes it at once. */
  | { readonly type: 'back' }
  /** Whoever finds it without a lock takes it. */
  | { readonly type: 'leave' }

export interface UnitQueueOptions {
  readonly name: string
  /** What its keys begin with, in one hash slot. */
  readonly prefix: string
  /** To a server by IP address or unix socket, as the link's own. */
  readonly connection: RedisOptions
  readonly clock: Clock
  readonly concurrency: number
  /** Must not reject. */
  work(unit: Pick<Unit, 'id' | 'owner'>): Promise<UnitEnd>
  /** Also of connections that come and go. */
  onError(error: unknown): void
}

/** A replica that was killed loses its units after that time at the latest; they are looked for so often. */
const LOCK_MS = 8_000
const LOCK_RENEWED_MS = 3_000
const STALLED_CHECK_MS = 3_000
/** How long it waits for work at one go. */
const WAIT_S = 2
const AGAIN_MS = 1_000
const MOST_RECONNECT_MS = 1_000
/** We read none of the events that BullMQ writes. */
const EVENTS_KEPT = 100
/** Ending units is waited for so long, and no longer. */
const CLOSE_MS = 5_000

/** Units of work that BullMQ hands out to replicas: each to one at a time, and to another one if the first one dies. */
export class UnitQueue {
  readonly #options: UnitQueueOptions
  readonly #client: Redis
  readonly #queue: Queue
  readonly #worker: Worker

  constructor(options: UnitQueueOptions) {
    const { name, prefix, connection, concurrency, onError } = options
    this.#options = options
    const client: RedisOptions & { replyMapping: 'legacy' } = {
      ...connection,
      // As BullMQ asks for: what is asked while the store is away is asked when it is back.
      ...{ protocol: 2, replyMapping: 'legacy', maxRetriesPerRequest: null, enableOfflineQueue: true },
      retryStrategy: (times) => Math.min(50 * 2 ** times, MOST_RECONNECT_MS),
    }
    this.#client = new Redis(client)
    this.#client.on('error', onError)
    this.#queue = new Queue(name, {
      ...{ connection: this.#client, prefix, skipVersionCheck: true },
      streams: { events: { maxLen: EVENTS_KEPT } },
    })
    this.#worker = new Worker(name, (job: Job, token) => this.#work(job, token), {
      ...{ connection: this.#client, prefix, concurrency, autorun: false, skipVersionCheck: true },
      ...{ lockDuration: LOCK_MS, lockRenewTime: LOCK_RENEWED_MS, stalledInterval: STALLED_CHECK_MS },
      // What a unit comes to is the ledger's to say, however often its replicas die.
      ...{ maxStalledCount: Number.MAX_SAFE_INTEGER, drainDelay: WAIT_S, runRetryDelay: AGAIN_MS },
    })
    this.#queue.on('error', onError)
    this.#worker.on('error', onError)
  }

  set concurrency(concurrency: number) {
    this.#worker.concurrency = concurrency
  }

  start(): void {
    this.#worker.run().catch(this.#options.onError)
  }

  /** Nothing happens to those that are there. Waits while the store is away. */
  async add(units: readonly Unit[]): Promise<void> {
    if (units.length === 0) return
    await this.#queue.addBulk(
      units.map(({ id, owner, tag }) => ({
        name: owner,
        data: {},
        opts: { jobId: id, priority: tag, removeOnComplete: true, removeOnFail: true },
      })),
    )
  }

  /** Nothing happens to those that are worked on. */
  async remove(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#queue.remove(id).catch(() => {})))
  }

  /** The store was away: a connection to a machine that is gone would go on waiting. */
  reconnect(): void {
    if (this.#client.status === 'ready') this.#client.disconnect(true)
  }

  /** Begins nothing more. What is worked on may take as long as it takes; then connections end. */
  async stop(): Promise<void> {
    const { clock, onError } = this.#options
    const closing = this.#worker.close().then(() => this.#queue.close())
    const late = new AbortController()
    await Promise.race([closing.catch(onError), clock.sleep(CLOSE_MS, late.signal).catch(() => {})])
    late.abort()
    this.#client.disconnect()
    closing.catch(() => {})
  }

  async #work(job: Job, token: string | undefined): Promise<void> {
    const { work, onError } = this.#options
    const end = await work({ id: job.id ?? '', owner: job.name })
    if (end.type === 'over') return
    try {
      switch (end.type) {
        case 'line':
          await job.changePriority({ priority: end.tag })
          await job.moveToWait(token)
          break
        case 'sleep':
          if (job.priority !== 1) await job.changePriority({ priority: 1 })
          await job.moveToDelayed(end.at, token)
          break
        case 'back':
          await job.moveToWait(token)
          break
      }
    } catch (error) {
      // Another one has it by now, or will find it.
      onError(error)
      throw new DelayedError()
    }
    throw end.type === 'line' || end.type === 'back' ? new WaitingError() : new DelayedError()
  }
}
