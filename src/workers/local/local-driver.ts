import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import type { Target } from '../../domain/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import { TorControl } from '../../tor/control/client.ts'
import { TorProcessError } from '../../tor/process/errors.ts'
import { TorProcess } from '../../tor/process/tor-process.ts'
import { type TorDirectory, torDirectory } from '../../tor/tor-directory.ts'
import { parseExtraLines } from '../../tor/torrc/extra-lines.ts'
import { workerTorrc } from '../../tor/torrc/worker-torrc.ts'
import type { CircuitSupply } from '../circuit-stock.ts'
import type { ConnectOptions, DriverEvent, WorkerConnection, WorkerDriver, WorkerObservation } from '../driver.ts'
import type { ExitMinimum } from '../exits/exit-choice.ts'
import { LinkedDriver } from '../linked-driver.ts'
import { TorLink } from '../tor-link.ts'

export interface LocalDriverOptions {
  readonly id: string
  /** Of this worker alone: torrc, sockets, Tor's own data. Its path must leave room for a unix socket's name. */
  readonly directory: string
  /** What runs tor, with what stands before it. */
  readonly command: readonly string[]
  /** Further lines of the torrc, the operator's. */
  readonly torrc: readonly string[]
  /** True unless the whole Tor network is on private addresses. */
  readonly rejectInternalAddresses: boolean
  /** Shared by the workers of a service; of its own and without a limit, unless told. */
  readonly circuits?: CircuitSupply
  /** How many exits must satisfy a demand for certain exits. */
  readonly exits?: ExitMinimum
  readonly clock: Clock
  readonly logger: Logger
}

/** A `tor` process of our own, reached by unix sockets alone. It does not outlive this process. */
export class LocalDriver extends LinkedDriver implements WorkerDriver {
  readonly kind = 'local'
  readonly #options: LocalDriverOptions
  readonly #directory: TorDirectory
  readonly #process: TorProcess
  readonly #starts = new SharedRun<void>((signal) => this.#bringUp(signal))
  #control: TorControl | undefined
  #link: TorLink | undefined

  /** Throws `TorrcError` for lines that are refused, `RangeError` for a directory whose path is too long. */
  constructor(options: LocalDriverOptions) {
    const { command, logger, clock, rejectInternalAddresses, torrc: extra } = options
    super(options)
    this.#options = options
    this.#directory = torDirectory(options.directory)
    const torrc = workerTorrc({ directory: this.#directory, owner: process.pid, rejectInternalAddresses, extra })
    this.#process = new TorProcess({ command, torrc, directory: this.#directory, logger, clock })
    this.#process.onProgress(({ progress }) => this.listeners.notify({ type: 'progressed', progress }))
    this.#process.onExit(({ wasAsked, reason }) => {
      this.#link = undefined
      // While it is being started, the start says so.
      if (!wasAsked && !this.#starts.isRunning) this.listeners.notify({ type: 'lost', reason })
    })
  }

  observe(): WorkerObservation {
    const { state, pid, bootstrap, version, startedAt, problem } = this.#process.observe()
    return { process: state, pid, bootstrap, torVersion: version, startedAt, problem }
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#starts.join(signal)
  }

  async stop(signal: AbortSignal): Promise<void> {
    await this.#starts.cancel(
      new CbtorError('worker_unreachable', `Cannot start worker ${this.id}: it was stopped meanwhile`),
    )
    await this.#takeDown(signal)
  }

  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: ConnectOptions,
  ): Promise<WorkerConnection> {
    signal.throwIfAborted()
    return await this.linked('connect through').connect(target, identity, signal, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(new AbortController().signal)
  }

  protected override get link(): TorLink | undefined {
    return this.#link
  }

  protected override get whyNoLink(): string {
    return 'its Tor is not up'
  }

  async #bringUp(signal: AbortSignal): Promise<void> {
    if (this.#link !== undefined) return
    try {
      await this.#process.start(signal)
      await this.#attach(signal)
      await this.#process.waitForBootstrap(signal)
    } catch (error) {
      await this.#takeDown(AbortSignal.abort())
      throw error instanceof TorProcessError
        ? new CbtorError('worker_unreachable', `Cannot start worker ${this.id}: ${error.message}`, { cause: error })
        : error
    }
  }

  /** Takes control, and ownership: from here on Tor ends when this connection does, so also when we are killed. */
  async #attach(signal: AbortSignal): Promise<void> {
    const { clock, logger, circuits, exits } = this.#options
    const { controlSocket, controlCookie, socksSocket } = this.#directory
    const credentials = { method: 'cookie-file', path: controlCookie } as const
    this.#control = await TorControl.open(controlSocket, credentials, { logger }, signal)
    await this.#control.takeOwnership(signal)
    await this.#control.resetConf(['__OwningControllerProcess'], signal)
    await this.#requireListeners(this.#control, signal)
    const onEvent = (event: DriverEvent) => this.listeners.notify(event)
    const link = {
      ...{ worker: this.id, socks: { path: socksSocket }, clock, onEvent },
      ...(circuits && { circuits }),
      ...(exits && { exits }),
    }
    this.#link = await TorLink.create(this.#control, link, signal)
  }

  /** Tor takes some of what it does not understand without a word; so what it has made of the torrc is asked. */
  async #requireListeners(control: TorControl, signal: AbortSignal): Promise<void> {
    const { parsed } = parseExtraLines(this.#options.torrc)
    const added = parsed.filter(({ option, value }) => option.toLowerCase() === 'socksport' && value !== '0')
    const listeners = await control.listeners('socks', signal)
    if (listeners.includes(`unix:${this.#directory.socksSocket}`) && listeners.length === 1 + added.length) return
    throw new CbtorError(
      'worker_unreachable',
      `Cannot start worker ${this.id}: of its ${1 + added.length} SOCKS ports Tor has opened ${listeners.length}, or others`,
    )
  }

  async #takeDown(signal: AbortSignal): Promise<void> {
    this.#link = undefined
    await this.#process.stop(signal)
    await this.#control?.[Symbol.asyncDispose]()
    this.#control = undefined
  }
}
