import { CbtorError } from '../../domain/errors.ts'
import type { Random } from '../../lib/random.ts'
import type { LocalReceiver } from '../local-receivers.ts'
import { deliveryAfter, tryWebhook, type WebhookTryOptions } from '../webhook-try.ts'
import { insist } from './insist.ts'
import type { JobLedger } from './job-ledger.ts'
import type { UnitEnd } from './unit-queue.ts'

export interface SharedHooksOptions extends WebhookTryOptions {
  readonly random: Random
  readonly ledger: Pick<JobLedger, 'job' | 'setDelivery'>
  /** Who may be told without Tor. */
  readonly receivers: readonly LocalReceiver[]
  onBug(error: unknown): void
}

const LOST_MS = 1_000

/** Sends the webhooks that BullMQ gives to this replica. One may come twice, when a replica dies after it was sent. */
export class SharedHooks {
  readonly #options: SharedHooksOptions
  readonly #sending = new Map<string, AbortController>()
  /** Those whose try is not over here: also while the store is yet to hear what came of it. */
  readonly #tries = new Set<string>()
  readonly #life = new AbortController()
  #receivers: readonly LocalReceiver[]

  constructor(options: SharedHooksOptions) {
    this.#options = options
    this.#receivers = options.receivers
  }

  reconfigure(receivers: readonly LocalReceiver[]): void {
    this.#receivers = receivers
  }

  /** The job is no more. */
  drop(id: string): void {
    this.#sending.get(id)?.abort(new CbtorError('client_gone', 'Cannot send the webhook: its job was removed'))
  }

  stop(): void {
    this.#life.abort()
    for (const controller of this.#sending.values())
      controller.abort(new CbtorError('shutting_down', 'Cannot send the webhook: the service is shutting down'))
  }

  /** One try. Never rejects. */
  async send(id: string): Promise<UnitEnd> {
    // Its lock got lost while the store was away, and not the try.
    if (this.#tries.has(id)) return { type: 'sleep', at: this.#options.clock.now() + LOST_MS }
    this.#tries.add(id)
    try {
      return await this.#send(id)
    } catch (error) {
      this.#options.onBug(error)
      return { type: 'leave' }
    } finally {
      this.#tries.delete(id)
    }
  }

  async #send(id: string): Promise<UnitEnd> {
    const { clock, random, ledger } = this.#options
    if (this.#life.signal.aborted) return { type: 'back' }
    const read = await this.#insist(async () => ({ job: await ledger.job(id) }))
    if (read === undefined) return { type: 'leave' }
    const { job } = read
    if (job?.webhook === undefined || job.delivery.state !== 'pending') return { type: 'over' }
    const { nextAt = 0, tries } = job.delivery
    if (nextAt > clock.now()) return { type: 'sleep', at: nextAt }
    const controller = new AbortController()
    this.#sending.set(id, controller)
    try {
      const outcome = await tryWebhook(this.#options, this.#receivers, job, job.tally, controller.signal)
      if (controller.signal.aborted) return { type: this.#life.signal.aborted ? 'back' : 'over' }
      const delivery = deliveryAfter(tries, outcome, clock.now(), random)
      await this.#insist(() => ledger.setDelivery(id, delivery))
      return delivery.nextAt === undefined ? { type: 'over' } : { type: 'sleep', at: delivery.nextAt }
    } finally {
      this.#sending.delete(id)
    }
  }

  async #insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const { clock, onBug } = this.#options
    return await insist(ask, { clock, onBug, signal: this.#life.signal })
  }
}
