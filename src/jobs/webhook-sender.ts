import { createHmac } from 'node:crypto'
import type { Caller } from '../domain/caller.ts'
import { CbtorError, codeOf } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest } from '../domain/exchange.ts'
import type { JobTally, WebhookDelivery } from '../domain/job.ts'
import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { isoTime } from '../lib/iso-time.ts'
import type { Random } from '../lib/random.ts'
import type { JobStore, StoredJob } from './job-store.ts'
import { type LocalReceiver, type LocalTarget, localTargetOf } from './local-receivers.ts'

export interface WebhookSenderOptions {
  readonly clock: Clock
  readonly random: Random
  readonly store: JobStore
  /** Who may be told without Tor. */
  readonly receivers: readonly LocalReceiver[]
  callerOf(owner: string): Caller | undefined
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer>
  /** Resolves with the status of the answer. */
  postLocally(
    to: LocalTarget,
    headers: Readonly<Record<string, string>>,
    body: string,
    signal: AbortSignal,
  ): Promise<number>
  onBug(error: unknown): void
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
/** The ceilings of the waits between tries, with full jitter; after the last one it has failed. */
const DELAYS_MS = [
  10 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  60 * MINUTE_MS,
  180 * MINUTE_MS,
]
const CONCURRENCY = 4
const STORE_TRIED_AGAIN_MS = 10 * SECOND_MS
const LOCAL_LIMIT_MS = 10 * SECOND_MS
const TOR_LIMIT_MS = 60 * SECOND_MS
/** Of the receiver's answer, which nobody reads. */
const MAX_ANSWER_BYTES = 64 * 1024

/** Tells whoever wants to know that a job has ended, until they have heard it. */
export class WebhookSender {
  readonly #options: WebhookSenderOptions
  /** When each one is to be sent. */
  readonly #waiting = new Map<string, number>()
  readonly #sending = new Map<string, AbortController>()
  #receivers: readonly LocalReceiver[]
  readonly #over = new Set<Promise<void>>()
  #nap: Disposable | undefined
  #isStopped = false

  constructor(options: WebhookSenderOptions) {
    this.#options = options
    this.#receivers = options.receivers
  }

  /** Who may be told without Tor from now on. */
  reconfigure(receivers: readonly LocalReceiver[]): void {
    this.#receivers = receivers
  }

  /** Sends what the last process did not. */
  start(): void {
    const { store } = this.#options
    for (const id of store.withPendingWebhook()) this.#waiting.set(id, store.job(id)?.delivery.nextAt ?? 0)
    this.#pump()
  }

  /** The job has ended. */
  add(id: string): void {
    const { state, nextAt = 0 } = this.#options.store.job(id)?.delivery ?? {}
    if (state !== 'pending') return
    this.#waiting.set(id, nextAt)
    this.#pump()
  }

  /** The job is no more. */
  drop(id: string): void {
    this.#waiting.delete(id)
    this.#sending.get(id)?.abort(new CbtorError('client_gone', 'Cannot send the webhook: its job was removed'))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#nap?.[Symbol.dispose]()
    for (const controller of this.#sending.values())
      controller.abort(new CbtorError('shutting_down', 'Cannot send the webhook: the service is shutting down'))
    await Promise.all(this.#over)
  }

  #pump(): void {
    this.#nap?.[Symbol.dispose]()
    this.#nap = undefined
    if (this.#isStopped) return
    const { clock, onBug } = this.#options
    const now = clock.now()
    let wakeAt = Number.POSITIVE_INFINITY
    for (const [id, at] of this.#waiting) {
      if (this.#sending.size >= CONCURRENCY) return // whoever ends looks again
      try {
        if (at > now) wakeAt = Math.min(wakeAt, at)
        else this.#begin(id)
      } catch (error) {
        onBug(error) // the store cannot be read just now
        this.#waiting.set(id, now + STORE_TRIED_AGAIN_MS)
        wakeAt = Math.min(wakeAt, now + STORE_TRIED_AGAIN_MS)
      }
    }
    if (wakeAt < Number.POSITIVE_INFINITY)
      this.#nap = clock.timer(Math.min(wakeAt - now, 60 * MINUTE_MS), () => this.#pump())
  }

  #begin(id: string): void {
    const { store, onBug } = this.#options
    this.#waiting.delete(id)
    const job = store.job(id)
    if (job?.webhook === undefined || job.delivery.state !== 'pending') return
    const controller = new AbortController()
    this.#sending.set(id, controller)
    const over = this.#try(job, job.webhook.url, controller.signal)
      .catch(onBug)
      .finally(() => {
        this.#sending.delete(id)
        this.#over.delete(over)
        this.#pump()
      })
    this.#over.add(over)
  }

  async #try(job: StoredJob, url: string, signal: AbortSignal): Promise<void> {
    const { store, clock, random } = this.#options
    const outcome = await this.#send(job, url, signal)
    if (signal.aborted) return
    const tries = job.delivery.tries + 1
    const delayMs = DELAYS_MS[tries - 1]
    let delivery: WebhookDelivery = { state: 'failed', tries, outcome: String(outcome) }
    if (typeof outcome === 'number' && outcome >= 200 && outcome <= 299) delivery = { ...delivery, state: 'delivered' }
    else if (outcome !== 410 && delayMs !== undefined) {
      const nextAt = clock.now() + Math.ceil(Math.max(SECOND_MS, random.float() * delayMs))
      delivery = { ...delivery, state: 'pending', nextAt }
      this.#waiting.set(job.id, nextAt)
    }
    store.setDelivery(job.id, delivery)
  }

  /** The status of the receiver, or the code of the problem. */
  async #send(job: StoredJob, url: string, signal: AbortSignal): Promise<number | string> {
    const { clock, store, callerOf, fetch, postLocally } = this.#options
    const body = webhookText(job, store.tally(job.id), clock.now())
    const headers = webhookHeaders(job.id, body, job.webhook?.secret, clock.now())
    try {
      const local = localTargetOf(url, this.#receivers)
      if (local !== undefined) {
        const late = () => new CbtorError('timeout', 'Cannot send the webhook: no answer in time')
        using limit = deadline(clock, LOCAL_LIMIT_MS, signal, late)
        return await postLocally(local, headers, body, limit.signal)
      }
      const caller = callerOf(job.owner)
      if (caller === undefined) return 'key_not_found'
      const { status } = await fetch({ ...requestOf(url, headers, body), caller }, signal)
      return status
    } catch (error) {
      if (error instanceof CbtorError) return error.code
      // Of a local receiver: whatever its socket said.
      return error instanceof Error && 'code' in error ? 'connection_lost' : codeOf(error)
    }
  }
}

/** What the receiver is told: nothing of the targets, which it may not be meant to know. */
export function webhookText(
  { id, name, state, createdAt, endedAt = 0, fetches }: StoredJob,
  { done, failed, cancelled }: Pick<JobTally, 'done' | 'failed' | 'cancelled'>,
  now: number,
): string {
  return JSON.stringify({
    type: 'job.ended',
    sent_at: isoTime(now),
    job: {
      id,
      name: name ?? null,
      state,
      fetches,
      done,
      failed,
      cancelled,
      created_at: isoTime(createdAt),
      ended_at: isoTime(endedAt),
    },
  })
}

const SECRET_PREFIX = 'whsec_'

/** As of Standard Webhooks 1.0 (https://www.standardwebhooks.com): the id is the same for all tries, the time is of each one. */
function webhookHeaders(id: string, body: string, secret: string | undefined, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / SECOND_MS))
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (secret === undefined) return headers
  const key = secret.startsWith(SECRET_PREFIX) ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64') : secret
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${mac}` }
}

/** By circuits of its own: the receiver is not to be linked to the targets, nor they to it. */
function requestOf(url: string, headers: Readonly<Record<string, string>>, body: string): FetchRequest {
  return {
    ...{ url, method: 'POST', headers: Object.entries(headers), body: Buffer.from(body), isolation: 'request' },
    ...{
      timeoutMs: TOR_LIMIT_MS,
      maxBytes: MAX_ANSWER_BYTES,
      allowTruncated: true,
      followRedirects: false,
      maxRedirects: 0,
    },
    ...{ allowDowngrade: false, allowOnionToClearnet: false },
  }
}
