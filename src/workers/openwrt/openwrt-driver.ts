import { isIP } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import { isOnionHost, type Target } from '../../domain/worker.ts'
import { abortable, deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import { SshError } from '../../ssh/errors.ts'
import type { TorControl } from '../../tor/control/client.ts'
import { greetSocks } from '../../tor/socks/dial.ts'
import { SocksUnreachableError } from '../../tor/socks/errors.ts'
import { Attachment } from '../attachment.ts'
import type { CircuitSupply } from '../circuit-stock.ts'
import type { ConnectOptions, DriverEvent, WorkerConnection, WorkerDriver, WorkerObservation } from '../driver.ts'
import type { ExitMinimum } from '../exits/exit-choice.ts'
import { LinkedDriver } from '../linked-driver.ts'
import { SOCKS_PASSWORD, type WorkerLink } from '../socks-link.ts'
import { openBoxControl } from './box-control.ts'
import { BoxHost } from './box-host.ts'
import { type BoxShell, BoxTor } from './box-tor.ts'
import { CircuitCount, HOLD_MS } from './circuit-count.ts'
import { SourceAddresses } from './source-addresses.ts'
import { isMadeUp, TransparentRoute } from './transparent-route.ts'
import { isUntrusted, Trust } from './trust.ts'
import type { BoxTunnels } from './tunnels.ts'

/** A stop that is to be quick all the same needs some answers from the box. */
const FORCED_STOP_WITHIN_MS = 15_000

const LIMITS = { attachWithinMs: 15_000, greetWithinMs: 2_000, retryBaseMs: 1_000, retryCapMs: 4_000 }

export interface OpenwrtDriverOptions {
  readonly id: string
  /** Of its tunnel: the box is 10.201.N.1. */
  readonly tunnel: number
  /** How clearnet goes into its Tor. */
  readonly clearnet: 'transparent' | 'socks'
  /** SSH to the box. It is the driver's to close. */
  readonly shell: BoxShell & AsyncDisposable
  readonly tunnels: BoxTunnels
  /** Shared by the workers of a service; of its own and without a limit, unless told. */
  readonly circuits?: CircuitSupply
  /** How many exits must satisfy a demand for certain exits. */
  readonly exits?: ExitMinimum
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * The Tor of an OpenWrt box: its streams go through a WireGuard tunnel, its control port and its orders through SSH. The Tor is
 * the box's and outlives us. SSH may be lost while the tunnel carries: then streams go on, and nothing is known of their exits.
 */
export class OpenwrtDriver extends LinkedDriver implements WorkerDriver {
  readonly kind = 'openwrt'
  readonly host: BoxHost
  readonly #options: OpenwrtDriverOptions
  readonly #tor: BoxTor
  readonly #route: TransparentRoute | undefined
  readonly #starts = new SharedRun<void>((signal) => this.#bringUp(signal))
  readonly #reattaches = new SharedRun<void>((signal) => this.#reattach(signal))
  #attachment: Attachment | undefined
  #state: WorkerObservation['process'] = 'stopped'
  #pid: number | undefined
  #startedAt: number | undefined
  #problem: string | undefined
  readonly #circuits: CircuitCount
  readonly #trust = new Trust()
  /** False once its Tor was seen not to keep identities apart, until one is seen that does. */
  #isIsolating = true
  /** While it is being stopped. */
  #stopping: Promise<void> | undefined
  readonly #life = new AbortController()
  /** Looks after the box from the first start on. */
  #looking: Promise<void> | undefined

  constructor(options: OpenwrtDriverOptions) {
    const { id, tunnel, clearnet, shell, tunnels, clock, random, logger } = options
    super(options)
    this.#options = options
    this.#tor = new BoxTor(shell, clock)
    this.#circuits = new CircuitCount(clock, logger)
    this.host = new BoxHost({
      ...{ tor: this.#tor, tunnels, tunnel, clock },
      openControl: (signal) => this.#openControl(signal),
      feel: (signal) => this.#feel(signal),
      reattach: (signal) => this.#reattaches.join(signal),
      told: (outcome) => this.#sshTold(outcome),
      isOfInterest: () => this.#state !== 'stopped',
      onAilments: (ailments) => this.listeners.notify({ type: 'ailing', ailments }),
      letGo: () => this.#giveUp(),
    })
    if (clearnet === 'transparent') {
      this.#route = new TransparentRoute({
        ...{ worker: id, tunnel, clock },
        addresses: new SourceAddresses({ tunnel, clock, random, holdMs: HOLD_MS }),
        watch: () => this.#attachment?.link?.watch,
      })
    }
  }

  observe(): WorkerObservation {
    const attachment = this.#attachment
    return {
      process: this.#state,
      pid: this.#pid,
      bootstrap: attachment?.bootstrap ?? { progress: 0, tag: 'starting', summary: 'Not attached' },
      torVersion: attachment?.torVersion,
      startedAt: this.#startedAt,
      problem: this.#problem ?? attachment?.problem,
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#looking ??= this.host.lookAfter(this.#life.signal)
    await this.#starts.join(signal)
  }

  async stop(signal: AbortSignal): Promise<void> {
    const before = this.#stopping ?? Promise.resolve()
    const stopping = before.catch(() => {}).then(() => this.#stop(signal))
    this.#stopping = stopping
    try {
      await stopping
    } finally {
      if (this.#stopping === stopping) this.#stopping = undefined
    }
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
    // Where an address leads is for the kernel to say, and it may be one of this machine's own: only names go by the other way.
    const { keepsExit, exit } = identity
    const isForSocks = isOnionHost(target.host) || keepsExit || exit !== undefined || isIP(target.host) !== 0
    const route = this.#circuits.isComplete && !isForSocks ? this.#route : undefined
    return await attachment.connect(async (wanted) => {
      const connection = await route?.connect(target, identity, wanted, options)
      if (connection === undefined) return await link.connect(target, identity, wanted, options)
      if (options?.earlyData) connection.socket.write(options.earlyData)
      return connection
    }, signal)
  }

  override async resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    const address = await super.resolve(host, identity, signal)
    if (!isMadeUp(address)) return address
    const why = "its Tor makes up addresses for names, as its box's torrc says"
    throw new CbtorError('resolve_unsupported', `Cannot look up names through worker ${this.id}: ${why}`)
  }

  override forget(identity: Identity): void {
    super.forget(identity)
    this.#route?.forget(identity)
  }

  override async pulse(signal: AbortSignal): Promise<void> {
    const link = this.linked('feel the pulse of')
    const attachment = this.#attachment
    const [tor, names] = await Promise.allSettled([link.pulse(signal), this.#route?.pulse(signal)])
    if (tor.status === 'rejected') {
      // The box's kernel says that nobody listens there: that is no matter of patience.
      if (isSocksRefused(tor.reason)) attachment?.lose('its SOCKS port refuses connections, so its Tor is gone')
      throw tor.reason
    }
    if (names.status === 'rejected') throw names.reason
  }

  /** Lets go of the box; its Tor and its tunnel stay as they are. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new CbtorError('worker_unreachable', `Worker ${this.id} is going`))
    this.#circuits[Symbol.dispose]()
    await this.#looking
    const going = new CbtorError('worker_unreachable', `Worker ${this.id} is going`)
    await Promise.all([this.#starts.cancel(going), this.#reattaches.cancel(going)])
    await this.#letGo()
    await this.#options.shell[Symbol.asyncDispose]()
    if (this.#state !== 'exited') this.#state = 'stopped'
  }

  async #stop(signal: AbortSignal): Promise<void> {
    const why = `Cannot start worker ${this.id}: it was stopped meanwhile`
    const stopped = new CbtorError('worker_unreachable', why)
    await Promise.all([this.#starts.cancel(stopped), this.#reattaches.cancel(stopped)])
    await this.#giveUp()
    const late = () => new CbtorError('worker_unreachable', `Cannot stop worker ${this.id}: its box does not answer`)
    using limit = deadline(this.#options.clock, FORCED_STOP_WITHIN_MS, this.#life.signal, late)
    try {
      await this.host.asking(() => this.#tor.stop(signal.aborted, signal.aborted ? limit.signal : signal))
    } catch (error) {
      // One that lost its patience on the way, unless we are going: then the Tor is left as it is.
      if (signal.aborted && error === signal.reason && !this.#life.signal.aborted)
        await this.#tor.stop(true, limit.signal)
      else throw this.#unreachable('stop', error)
    }
    await this.#letGo()
    this.#state = 'stopped'
    this.#startedAt = undefined
    this.#problem = undefined
    this.#trust.begin()
  }

  #openControl(signal: AbortSignal): Promise<TorControl> {
    return this.host.asking(() => openBoxControl(this.#tor, this.#options, signal))
  }

  protected override get link(): WorkerLink | undefined {
    return this.#trust.isGiven ? this.#attachment?.link : undefined
  }

  protected override get whyNoLink(): string {
    return this.#trust.isGiven ? 'its Tor is not up' : 'its box is not the one that was installed'
  }

  async #bringUp(signal: AbortSignal): Promise<void> {
    await abortable(this.#stopping?.catch(() => {}) ?? Promise.resolve(), signal)
    await this.#reattaches.cancel(new CbtorError('worker_unreachable', `Worker ${this.id} is being started`))
    if (this.#attachment?.link !== undefined) return
    const { tunnels, tunnel, clock } = this.#options
    this.#state = 'starting'
    this.#problem = undefined
    this.#trust.begin()
    try {
      await tunnels.up(tunnel, signal)
      const isNew = await this.#startTor(signal)
      this.#startedAt = clock.now()
      await this.#attach(signal)
      if (isNew) this.#circuits.begin()
      else await this.#circuits.beginAnew(this.#requireLink(), signal)
      this.#requireLink()
      this.#state = 'running'
    } catch (error) {
      await this.#letGo()
      this.#state = 'exited'
      this.#problem = error instanceof Error ? error.message : String(error)
      throw signal.aborted && error === signal.reason ? error : this.#unreachable('start', error)
    }
  }

  /** What was taken up may have been lost meanwhile. */
  #requireLink(): WorkerLink {
    const link = this.#attachment?.link
    if (link !== undefined) return link
    throw new CbtorError(
      'worker_unreachable',
      `Cannot use worker ${this.id}: ${this.#problem ?? 'its Tor is gone again'}`,
    )
  }

  /** Whether Tor did not run before. A box whose SSH is out of reach may have a Tor that works all the same. */
  async #startTor(signal: AbortSignal): Promise<boolean> {
    try {
      const { pid, isNew } = await this.host.asking(() => this.#tor.start(signal))
      this.#pid = pid
      return isNew
    } catch (error) {
      if (!(error instanceof SshError) || isUntrusted(error)) throw error
      this.#problem = error.message
      return false
    }
  }

  /** From our end of the tunnel, and so by the tunnel or not at all. */
  get #socks() {
    const { tunnel } = this.#options
    return { host: `10.201.${tunnel}.1`, port: 9050, from: `10.201.${tunnel}.2` }
  }

  async #feel(signal: AbortSignal): Promise<void> {
    const greeted = greetSocks(this.#socks, { username: 'pulse', password: SOCKS_PASSWORD }, signal)
    await Promise.all([greeted, this.#route?.pulse(signal)])
  }

  /** A Tor that was lost with its box, and is there again; its circuits and our addresses are as they were, or gone. */
  async #reattach(signal: AbortSignal): Promise<void> {
    if (this.#stopping !== undefined || this.#starts.isRunning || this.#state !== 'exited' || !this.#trust.isGiven)
      return
    const { tunnels, tunnel, clock } = this.#options
    await tunnels.up(tunnel, signal)
    await this.#feel(signal)
    try {
      await this.#attach(signal)
      this.#requireLink()
      this.#state = 'running'
      this.#startedAt = clock.now()
      this.#problem = undefined
    } catch (error) {
      await this.#letGo()
      throw error
    }
    // It may be another process than before; which one is of no weight.
    this.#pid = await this.host.asking(() => this.#tor.pid(signal)).catch(() => undefined)
  }

  async #attach(signal: AbortSignal): Promise<void> {
    const { id: worker, clock, random, logger, circuits, exits } = this.#options
    await this.#letGo()
    const attachment = new Attachment({
      ...{ worker, clock, random, logger, limits: LIMITS },
      ...(circuits && { circuits }),
      ...(exits && { exits }),
      socks: this.#socks,
      openControl: (limit) => this.#openControl(limit),
      mayDoWithoutControl: (error) => this.#isIsolating && !isUntrusted(error),
      onEvent: (event) => this.#told(event),
      onLost: (reason) => this.#lost(attachment, reason),
    })
    this.#attachment = attachment
    await attachment.open(signal)
    if (attachment.link?.watch !== undefined) this.#isIsolating = true
  }

  #told(event: DriverEvent): void {
    if (event.type === 'isolation-missing') {
      const isNews = this.#isIsolating
      this.#isIsolating = false
      if (!isNews) return
    }
    this.listeners.notify(event)
  }

  #lost(attachment: Attachment, reason: string): void {
    if (this.#attachment !== attachment) return
    this.#attachment = undefined
    void attachment[Symbol.asyncDispose]()
    this.#problem = reason
    this.#pid = undefined
    if (this.#starts.isRunning) return // the start says so
    this.#state = 'exited'
    this.listeners.notify({ type: 'lost', reason })
  }

  async #letGo(): Promise<void> {
    const attachment = this.#attachment
    this.#attachment = undefined
    await attachment?.[Symbol.asyncDispose]()
  }

  /** Lets go of a Tor that somebody is about to end. */
  async #giveUp(): Promise<void> {
    await this.#letGo()
    if (this.#state === 'running') this.#state = 'exited'
    this.#pid = undefined
  }

  /** What SSH showed of whom it speaks to. */
  #sshTold(error: SshError | undefined): void {
    if (error === undefined) {
      if (this.#trust.confirm()) this.listeners.notify({ type: 'trusted' })
    } else if (isUntrusted(error) && this.#trust.withdraw(this.#state !== 'stopped')) {
      this.#problem = error.message
      this.#state = 'exited'
      void this.#letGo()
      this.listeners.notify({ type: 'untrusted', reason: error.message })
    }
  }

  #unreachable(attempt: string, error: unknown): unknown {
    if (error instanceof CbtorError) return error
    const why = error instanceof Error ? error.message : String(error)
    return new CbtorError('worker_unreachable', `Cannot ${attempt} worker ${this.id}: ${why}`, { cause: error })
  }
}

function isSocksRefused(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if (at instanceof SocksUnreachableError)
      return (at.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'
  return false
}
