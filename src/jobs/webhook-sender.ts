import { CbtorError } from '../domain/errors.ts'
import type { Random } from '../lib/random.ts'
import type { JobStore, StoredJob } from './job-store.ts'
import type { LocalReceiver } from './local-receivers.ts'
import { deliveryAfter, tryWebhook, type WebhookTryOptions } from './webhook-try.ts'

export interface WebhookSenderOptions extends WebhookTryOptions {
  readonly random: Random
  readonly store: JobStore
  /** Who may be told without Tor. */
  readonly receivers: readonly LocalReceiver[]
  onBug(error: unknown): void
}

const CONCURRENCY = 4
const STORE_TRIED_AGAIN_MS = 10_000
const MAX_NAP_MS = 3_600_000

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
      this.#nap = clock.timer(Math.min(wakeAt - now, MAX_NAP_MS), () => this.#pump())
  }

  #begin(id: string): void {
    const { store, onBug } = this.#options
    this.#waiting.delete(id)
    const job = store.job(id)
    if (job?.webhook === undefined || job.delivery.state !== 'pending') return
    const controller = new AbortController()
    this.#sending.set(id, controller)
    const over = this.#try(job, controller.signal)
      .catch(onBug)
      .finally(() => {
        this.#sending.delete(id)
        this.#over.delete(over)
        this.#pump()
      })
    this.#over.add(over)
  }

  async #try(job: StoredJob, signal: AbortSignal): Promise<void> {
    const { store, clock, random } = this.#options
    const outcome = await tryWebhook(this.#options, this.#receivers, job, store.tally(job.id), signal)
    if (signal.aborted) return
    const delivery = deliveryAfter(job.delivery.tries, outcome, clock.now(), random)
    if (delivery.nextAt !== undefined) this.#waiting.set(job.id, delivery.nextAt)
    store.setDelivery(job.id, delivery)
  }
}
