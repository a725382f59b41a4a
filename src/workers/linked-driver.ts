import { CbtorError } from '../domain/errors.ts'
import type { Identity } from '../domain/identity.ts'
import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Logger } from '../lib/log.ts'
import {
  type CircuitFigures,
  type DriverEvent,
  type NewCircuits,
  NOTHING_KNOWN,
  type WorkerInspection,
} from './driver.ts'
import type { WorkerLink } from './socks-link.ts'

export interface LinkedDriverOptions {
  readonly id: string
  readonly clock: Clock
  readonly logger: Logger
}

/** What the drivers of real Tors have in common: all that is about streams and circuits is for the link, while there is one. */
export abstract class LinkedDriver {
  readonly id: string
  protected readonly listeners: Listeners<DriverEvent>
  readonly #clock: Clock

  constructor({ id, clock, logger }: LinkedDriverOptions) {
    this.id = id
    this.#clock = clock
    this.listeners = new Listeners((err) => logger.error({ err }, 'A listener of a worker failed'))
  }

  /** Undefined while its Tor is not to be used. */
  protected abstract get link(): WorkerLink | undefined

  /** Why there is no link. */
  protected abstract get whyNoLink(): string

  circuits(): CircuitFigures | undefined {
    return this.link?.watch?.figures
  }

  async resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    return await this.linked('resolve through').resolve(host, identity, signal)
  }

  forget(identity: Identity): void {
    this.link?.forget(identity)
  }

  async pulse(signal: AbortSignal): Promise<void> {
    await this.linked('feel the pulse of').pulse(signal)
  }

  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    return await this.linked('get new circuits of').newCircuits(signal)
  }

  newCircuitsActAt(): number {
    return this.link?.newCircuitsActAt() ?? this.#clock.now()
  }

  async inspect(signal: AbortSignal): Promise<WorkerInspection> {
    return (await this.link?.inspect(signal)) ?? NOTHING_KNOWN
  }

  async warmUp(signal: AbortSignal): Promise<void> {
    await this.linked('warm up').warmUp(signal)
  }

  onEvent(listener: (event: DriverEvent) => void): Disposable {
    return this.listeners.add(listener)
  }

  /** `attempt` goes on "Cannot ". */
  protected linked(attempt: string): WorkerLink {
    const { link } = this
    if (link !== undefined) return link
    throw new CbtorError('worker_unreachable', `Cannot ${attempt} worker ${this.id}: ${this.whyNoLink}`)
  }
}
