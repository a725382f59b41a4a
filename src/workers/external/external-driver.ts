import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import type { Target } from '../../domain/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { type Random, systemRandom } from '../../lib/random.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import { ControlError } from '../../tor/control/errors.ts'
import { NOT_BOOTSTRAPPED } from '../../tor/process/tor-log.ts'
import { SocksProtocolError, SocksUnreachableError } from '../../tor/socks/errors.ts'
import { Attachment, type AttachmentLimits } from '../attachment.ts'
import type { CircuitSupply } from '../circuit-stock.ts'
import type { ConnectOptions, WorkerConnection, WorkerDriver, WorkerObservation } from '../driver.ts'
import type { ExitMinimum } from '../exits/exit-choice.ts'
import { LinkedDriver } from '../linked-driver.ts'
import { OtherTorError } from '../prove-isolation.ts'
import type { WorkerLink } from '../socks-link.ts'
import { type ControlEndpoint, openControl } from './control-endpoint.ts'
import { type Endpoint, endpointFault } from './endpoint.ts'

export interface ExternalDriverOptions {
  readonly id: string
  readonly socks: Endpoint
  /** Without it, the worker does what `SocksLink` can do. */
  readonly control?: ControlEndpoint
  readonly clock: Clock
  readonly random?: Random
  readonly logger: Logger
  readonly limits?: Partial<AttachmentLimits>
  /** Shared by the workers of a service; of its own and without a limit, unless told. */
  readonly circuits?: CircuitSupply
  /** How many exits must satisfy a demand for certain exits. */
  readonly exits?: ExitMinimum
}

const LIMITS: AttachmentLimits = {
  attachWithinMs: 10_000,
  greetWithinMs: 2_000,
  retryBaseMs: 1_000,
  retryCapMs: 30_000,
}

/** What is wrong with somebody else's Tor, rather than with this program. */
const FAULTS_OF_TOR = [CbtorError, ControlError, OtherTorError, SocksProtocolError, SocksUnreachableError]

/**
 * A Tor that somebody else runs. It is not started or stopped here: `start` turns to it and sees that it is up, `stop` lets
 * go of it and ends our connections through it. With a control port it is watched and proven as one of our own is; without one,
 * what `SocksLink` says holds.
 */
export class ExternalDriver extends LinkedDriver implements WorkerDriver {
  readonly kind = 'external'
  readonly #options: ExternalDriverOptions
  readonly #starts = new SharedRun<void>((signal) => this.#turnTo(signal))
  #attachment: Attachment | undefined
  #problem: string | undefined

  /** Throws `RangeError` for an endpoint that cannot be one. */
  constructor(options: ExternalDriverOptions) {
    super(options)
    const { id, socks, control } = options
    const faults = { 'SOCKS port': endpointFault(socks), 'control port': control && endpointFault(control.at) }
    for (const [port, fault] of Object.entries(faults))
      if (fault !== undefined) throw new RangeError(`Cannot use worker ${id}: its ${port} ${fault}`)
    this.#options = options
  }

  /** There is no telling its process from here: `running` says that it has answered and is not lost since. */
  observe(): WorkerObservation {
    const isUp = this.#attachment !== undefined
    const process = this.#starts.isRunning ? 'starting' : isUp ? 'running' : this.#problem ? 'exited' : 'stopped'
    return {
      process,
      pid: undefined,
      bootstrap: this.#attachment?.bootstrap ?? NOT_BOOTSTRAPPED,
      torVersion: this.#attachment?.torVersion,
      startedAt: undefined,
      problem: this.#attachment?.problem ?? this.#problem,
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#starts.join(signal)
  }

  async stop(_signal: AbortSignal): Promise<void> {
    await this.#starts.cancel(
      new CbtorError('worker_unreachable', `Cannot start worker ${this.id}: it was stopped meanwhile`),
    )
    const attachment = this.#attachment
    this.#attachment = undefined
    this.#problem = undefined
    await attachment?.[Symbol.asyncDispose]()
  }

  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: ConnectOptions,
  ): Promise<WorkerConnection> {
    signal.throwIfAborted()
    const link = this.linked('connect through')
    const attachment = this.#attachment as Attachment // the link is its
    return await attachment.connect((wanted) => link.connect(target, identity, wanted, options), signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(new AbortController().signal)
  }

  protected override get link(): WorkerLink | undefined {
    return this.#attachment?.link
  }

  protected override get whyNoLink(): string {
    return 'its Tor is not in reach'
  }

  async #turnTo(signal: AbortSignal): Promise<void> {
    if (this.#attachment !== undefined) return
    const { socks, control, clock, random = systemRandom, logger, limits, circuits, exits } = this.#options
    this.#problem = undefined
    const attachment = new Attachment({
      worker: this.id,
      socks,
      ...(control && { openControl: (limit: AbortSignal) => openControl(control, logger, limit) }),
      limits: { ...LIMITS, ...limits },
      ...(circuits && { circuits }),
      ...(exits && { exits }),
      clock,
      random,
      logger,
      onEvent: (event) => this.listeners.notify(event),
      onLost: (reason) => this.#lost(reason),
    })
    this.#attachment = attachment
    try {
      await attachment.open(signal)
    } catch (error) {
      this.#attachment = undefined
      await attachment[Symbol.asyncDispose]()
      if (signal.aborted || !(error instanceof Error) || !FAULTS_OF_TOR.some((fault) => error instanceof fault))
        throw error
      this.#problem = error.message
      throw new CbtorError('worker_unreachable', `Cannot start worker ${this.id}: ${error.message}`, { cause: error })
    }
  }

  #lost(reason: string): void {
    this.#attachment = undefined
    this.#problem = reason
    this.listeners.notify({ type: 'lost', reason })
  }
}
