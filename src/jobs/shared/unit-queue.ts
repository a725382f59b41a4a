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
/** What was worked on is told to the store so long, and no longer. */
const CLOSE_MS = 2_000

class UnitWorker extends Worker {
  /** Renews no locks any more. It comes to that by itself only if the store is there while it is closed. */
  async letGo(): Promise<void> {
    await this.lockManager.close()
  }
}

/** Units of work that BullMQ hands out to replicas: each to one at a time, and to another one if the first one dies. */
export class UnitQueue {
  readonly #options: UnitQueueOptions
  readonly #client: Redis
  /** Also those that BullMQ makes after it, to wait for work. */
  readonly #clients: Redis[] = []
  readonly #queue: Queue
  readonly #worker: UnitWorker
  readonly #working = new Set<Promise<UnitEnd>>()
  #restsUntil = 0
  #rest: Disposable | undefined

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
    this.#clients.push(this.#client)
    const duplicate = this.#client.duplicate.bind(this.#client)
    this.#client.duplicate = (override) => {
      const client = duplicate(override)
      this.#clients.push(client)
      return client
    }
    this.#queue = new Queue(name, {
      ...{ connection: this.#client, prefix, skipVersionCheck: true },
      streams: { events: { maxLen: EVENTS_KEPT } },
    })
    this.#worker = new UnitWorker(name, (job: Job, token) => this.#work(job, token), {
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

  /** Takes nothing until then: others may. */
  restUntil(at: number): void {
    const { clock, onError } = this.#options
    if (at <= this.#restsUntil) return
    if (this.#rest === undefined) this.#worker.pause(true).catch(onError)
    this.#rest?.[Symbol.dispose]()
    this.#restsUntil = at
    this.#rest = clock.timer(at - clock.now(), () => {
      this.#rest = undefined
      this.#worker.resume().catch(onError)
    })
  }

  /** The store was away: a connection to a machine that is gone would go on waiting. */
  reconnect(): void {
    for (const client of this.#clients) if (client.status === 'ready') client.disconnect(true)
  }

  /** Begins nothing more, waits for what is worked on, and ends its connections. */
  async stop(): Promise<void> {
    const { clock, onError } = this.#options
    this.#rest?.[Symbol.dispose]()
    const closing = this.#worker
      .close()
      .then(() => this.#queue.close())
      .catch(onError)
    await Promise.all(this.#working)
    if (this.#client.status === 'ready') {
      const over = new AbortController()
      await Promise.race([closing, clock.sleep(CLOSE_MS, over.signal).catch(() => {})])
      over.abort()
    }
    // They would go on trying to reach a store that is away.
    for (const client of this.#clients) client.disconnect()
    await this.#worker.letGo()
  }

  async #work(job: Job, token: string | undefined): Promise<void> {
    const { work, onError } = this.#options
    const working = work({ id: job.id ?? '', owner: job.name })
    this.#working.add(working)
    const end = await working
    this.#working.delete(working)
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
