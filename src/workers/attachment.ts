import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import { abortable, deadline, either } from '../lib/abort.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import type { TorControl } from '../tor/control/client.ts'
import { ControlReplyError } from '../tor/control/errors.ts'
import { type Bootstrap, NOT_BOOTSTRAPPED } from '../tor/process/tor-log.ts'
import type { SocksProxy } from '../tor/socks/dial.ts'
import { greetSocks } from '../tor/socks/dial.ts'
import type { CircuitSupply } from './circuit-stock.ts'
import type { DriverEvent, WorkerConnection } from './driver.ts'
import type { ExitMinimum } from './exits/exit-choice.ts'
import { OtherTorError, proveIsolation } from './prove-isolation.ts'
import { SOCKS_PASSWORD, SocksLink, type WorkerLink } from './socks-link.ts'
import { TorLink } from './tor-link.ts'

export interface AttachmentLimits {
  /** For a control connection, from dialling to a Tor that is proven to be the right one. */
  readonly attachWithinMs: number
  /** For an answer of the SOCKS port, where only a refusal or silence can follow. */
  readonly greetWithinMs: number
  /** Of the wait before each try to get a lost control connection back. */
  readonly retryBaseMs: number
  readonly retryCapMs: number
}

export interface AttachmentOptions {
  readonly worker: string
  readonly socks: SocksProxy
  /** Connects to the control port and authenticates; left out where there is none. */
  readonly openControl?: (signal: AbortSignal) => Promise<TorControl>
  /**
   * Where the way to the control port may be lost while Tor is well, so that its silence is no sign of ill health: whether to do
   * without it at the beginning, after this failure to open it. Left out where it may not.
   */
  readonly mayDoWithoutControl?: (error: unknown) => boolean
  readonly limits: AttachmentLimits
  readonly circuits?: CircuitSupply
  readonly exits?: ExitMinimum
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly onEvent: (event: DriverEvent) => void
  /** Called once, when the Tor is gone although nobody has let go of it. */
  readonly onLost: (reason: string) => void
}

const GREETING = { username: 'pulse', password: SOCKS_PASSWORD }

type OpenControl = NonNullable<AttachmentOptions['openControl']>

/** So far as anybody can know without a control port. */
const BOOTSTRAP_UNKNOWN: Bootstrap = { progress: 100, tag: 'unknown', summary: 'Not known without a control port' }

/**
 * The use of a Tor that is no process of ours, from when we turn to it until we let go of it or it is gone. A control connection that ends while
 * the SOCKS port answers is not the end: streams go on by SOCKS alone, and the connection is made again.
 */
export class Attachment implements AsyncDisposable {
  readonly #options: AttachmentOptions
  /** Aborts with the error that those who still want something are given. */
  readonly #life = new AbortController()
  readonly #sockets = new Set<Socket>()
  #control: TorControl | undefined
  #link: WorkerLink | undefined
  #bootstrap = NOT_BOOTSTRAPPED
  #torVersion: string | undefined
  #problem: string | undefined
  #isIsolating = true
  #regaining: Promise<void> | undefined

  constructor(options: AttachmentOptions) {
    this.#options = options
  }

  /** Undefined until the Tor has answered. */
  get link(): WorkerLink | undefined {
    return this.#link
  }

  get bootstrap(): Bootstrap {
    return this.#bootstrap
  }

  get torVersion(): string | undefined {
    return this.#torVersion
  }

  /** What is wrong although it is of use. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Resolves once the Tor is proven and bootstrapped. To be called once. Rejects as what failed, or with the signal's reason. */
  async open(caller: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([caller, this.#life.signal])
    const { openControl, mayDoWithoutControl } = this.#options
    if (openControl === undefined) return await this.#doWithout('none', signal)
    let attached: TorControl
    try {
      attached = await this.#attach(openControl, signal)
    } catch (error) {
      const mayDoWithout = this.#isIsolating && !isOtherTor(error) && mayDoWithoutControl?.(error)
      if (!mayDoWithout || signal.aborted) throw error
      await this.#doWithout('lost', signal)
      this.#controlLost(openControl, error instanceof Error ? error : new Error(String(error)))
      return
    }
    await bootstrapped(attached, signal)
    attached.onClose((reason) => this.#controlLost(openControl, reason))
  }

  /** Makes a connection by `connect`. Letting go of the Tor ends it, too. */
  async connect(
    connect: (signal: AbortSignal) => Promise<WorkerConnection>,
    signal: AbortSignal,
  ): Promise<WorkerConnection> {
    const life = this.#life.signal
    life.throwIfAborted()
    using wanted = either(signal, life)
    const connection = await connect(wanted.signal)
    const { socket } = connection
    if (life.aborted) {
      socket.destroy()
      throw life.reason
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return connection
  }

  /** The Tor is gone, for a reason that its driver knows. */
  lose(reason: string): void {
    if (this.#life.signal.aborted) return
    this.#end(reason)
    this.#options.onLost(reason)
  }

  /** Lets go of the Tor: ends the connections through it and to it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('it is being stopped')
    await this.#regaining
    await this.#control?.[Symbol.asyncDispose]()
  }

  /** By its SOCKS port alone. */
  async #doWithout(control: 'none' | 'lost', signal: AbortSignal): Promise<void> {
    const { socks, worker, clock } = this.#options
    await this.#inTime((limit) => greetSocks(socks, GREETING, limit), signal)
    this.#link = new SocksLink({ worker, socks, clock, control })
    this.#progressed(BOOTSTRAP_UNKNOWN)
  }

  /** Takes control, sees that it is of the Tor whose SOCKS port we use, and that this keeps identities apart. */
  async #attach(openControl: OpenControl, signal: AbortSignal): Promise<TorControl> {
    return await this.#inTime(async (limit) => {
      const { worker, socks, circuits, exits, clock, random, mayDoWithoutControl } = this.#options
      const mayLoseControl = mayDoWithoutControl !== undefined
      const control = await openControl(limit)
      try {
        onBootstrap(control, (bootstrap) => this.#progressed(bootstrap))
        const onEvent = (event: DriverEvent) => this.#told(event)
        const link = await TorLink.create(
          control,
          {
            ...{ worker, socks, clock, random, onEvent, mayLoseControl },
            ...(circuits && { circuits }),
            ...(exits && { exits }),
          },
          limit,
        )
        this.#progressed(await control.bootstrap(limit))
        this.#requireIsolation(await proveIsolation(control, { socks, clock, random }, limit))
        await this.#adviseOnConflux(control, limit)
        limit.throwIfAborted()
        this.#control = control
        this.#torVersion = control.torVersion
        this.#link = link
        return control
      } catch (error) {
        await control[Symbol.asyncDispose]()
        throw error
      }
    }, signal)
  }

  #requireIsolation(missing: readonly string[]): void {
    if (missing.length === 0) return
    this.#told({ type: 'isolation-missing', missing })
    throw new CbtorError(
      'worker_unreachable',
      `its SOCKS port does not isolate streams by ${missing.join(' and ')}, so identities could share circuits. Take NoIsolateSOCKSAuth off its SocksPort`,
    )
  }

  async #adviseOnConflux(control: TorControl, signal: AbortSignal): Promise<void> {
    try {
      const [value] = (await control.getConf(['ConfluxEnabled'], signal)).get('ConfluxEnabled') ?? []
      if (value !== '0')
        this.#options.logger.warn({}, 'Its Tor may move sessions to other exits: set ConfluxEnabled 0 in the torrc')
    } catch (error) {
      // Tor before 0.4.8 has no such option.
      if (!(error instanceof ControlReplyError)) throw error
    }
  }

  #controlLost(openControl: OpenControl, reason: Error): void {
    if (this.#life.signal.aborted) return
    if (!this.#isIsolating) {
      this.lose(`${reason.message}, and it did not keep identities apart`)
      return
    }
    const { worker, socks, clock, logger } = this.#options
    this.#link = new SocksLink({ worker, socks, clock, control: 'lost' })
    this.#problem = `Its control port is lost (${reason.message}); it goes on by its SOCKS port alone`
    logger.warn({ reason: reason.message }, 'The control port is lost')
    this.#regaining = this.#regain(openControl, reason).catch((err: unknown) => {
      if (!this.#life.signal.aborted) logger.error({ err }, 'Cannot get the control port back')
    })
  }

  /** Until there is control again, or the Tor is gone, or we have let go of it. */
  async #regain(openControl: OpenControl, reason: Error): Promise<void> {
    const { clock, random, limits, logger } = this.#options
    const life = this.#life.signal
    for (let attempt = 0; ; attempt++) {
      const silence = await this.#silence()
      if (life.aborted) return
      if (silence !== undefined) return this.lose(`${reason.message}, and its SOCKS port does not answer: ${silence}`)
      await clock.sleep(backoffMs(attempt, limits.retryBaseMs, limits.retryCapMs, random), life)
      try {
        const attached = await this.#attach(openControl, life)
        logger.info({}, 'The control port is back')
        this.#problem = undefined
        attached.onClose((why) => this.#controlLost(openControl, why))
        return
      } catch (error) {
        if (life.aborted) return
        if (!this.#isIsolating || isOtherTor(error)) return this.lose(messageOf(error))
        logger.debug({ reason: messageOf(error) }, 'The control port is still lost')
      }
    }
  }

  /** Why its SOCKS port does not answer; undefined when it does. */
  async #silence(): Promise<string | undefined> {
    const { socks, clock, limits } = this.#options
    const late = () => new Error(`there was no answer in ${limits.greetWithinMs} ms`)
    using limit = deadline(clock, limits.greetWithinMs, this.#life.signal, late)
    try {
      await greetSocks(socks, GREETING, limit.signal)
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  }

  #end(reason: string): void {
    const { worker } = this.#options
    this.#link = undefined
    this.#life.abort(new CbtorError('worker_unreachable', `Cannot use worker ${worker}: ${reason}`))
    for (const socket of this.#sockets) socket.destroy()
  }

  #told(event: DriverEvent): void {
    if (event.type === 'isolation-missing') this.#isIsolating = false
    this.#options.onEvent(event)
  }

  #progressed({ progress, tag, summary }: Bootstrap): void {
    const isNews = progress !== this.#bootstrap.progress
    this.#bootstrap = { progress, tag, summary }
    if (isNews) this.#options.onEvent({ type: 'progressed', progress })
  }

  async #inTime<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, limits } = this.#options
    const late = () => new CbtorError('worker_unreachable', `it did not answer within ${limits.attachWithinMs} ms`)
    using limit = deadline(clock, limits.attachWithinMs, signal, late)
    return await work(limit.signal)
  }
}

/** Resolves at 100 %. Rejects with why the connection ended, or with the signal's reason. */
async function bootstrapped(control: TorControl, signal: AbortSignal): Promise<void> {
  const done = Promise.withResolvers<void>()
  using _status = onBootstrap(control, ({ progress }) => progress === 100 && done.resolve())
  using _close = control.onClose(done.reject)
  // After listening: what was missed is in here.
  if ((await control.bootstrap(signal)).progress === 100) done.resolve()
  await abortable(done.promise, signal)
}

function onBootstrap(control: TorControl, listener: (bootstrap: Bootstrap) => void): Disposable {
  return control.onEvent((event) => {
    if (event.type === 'STATUS_CLIENT' && event.bootstrap) listener(event.bootstrap)
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The two ports are of two Tors: that says who answers there, and not that nobody could be asked. */
function isOtherTor(error: unknown): boolean {
  return error instanceof OtherTorError
}
