import { CbtorError } from '../domain/errors.ts'
import type { Routing } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import { siteOf } from '../domain/site.ts'
import type { Exit } from '../domain/worker.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { LINES, type LineRequest, type Order } from './order.ts'
import { PoliteSource } from './polite-source.ts'
import type { RetryBudget } from './retry-budget.ts'
import { type Session, sessionName } from './session.ts'
import { SessionSource } from './session-source.ts'
import type { Sessions } from './sessions.ts'
import { Tries } from './tries.ts'
import type { WorkerSource } from './worker-source.ts'

export interface PassageOptions {
  readonly clock: Clock
  readonly source: WorkerSource
  readonly budget: RetryBudget
  readonly sessions: Sessions
  readonly order: Order
  /** Whether politeness counts it for how many come per second. */
  readonly isPaced: boolean
  readonly routing: Routing
  /** The target's, as the target policy let it through. */
  readonly host: string
  /** As whom it goes, given the session that it is of. */
  identityOf(session: Session | undefined): Identity
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal
  /** Aborts when the service ends. */
  readonly life: AbortSignal
}

/**
 * One caller's fetch, tunnel or forwarded request, from the choice of its first worker to its end: who it is to the workers,
 * and its hold on them and on its session. It is to be started before it has a worker. Dispose it at the end.
 */
export class Passage implements Disposable {
  readonly identity: Identity
  readonly tries: Tries
  /** Aborts when the caller is gone, when the service ends, and by `abort`. */
  readonly signal: AbortSignal
  readonly #over = new AbortController()
  readonly #session: Session | undefined
  readonly #options: PassageOptions
  readonly #polite: PoliteSource | undefined
  readonly #source: SessionSource | undefined
  readonly #ends = new DisposableStack()

  constructor(options: PassageOptions) {
    this.#options = options
    const { clock, budget, sessions, routing, host, signal, life } = options
    const { politeness } = options.order
    const { caller, stickyKey, workerId, mode, onLoss = 'migrate' } = routing
    // A request that names its worker has the identity of its sticky key, but says nothing about where the session is.
    this.#session =
      stickyKey === undefined || workerId !== undefined ? undefined : sessions.open(sessionName(caller, stickyKey))
    this.#polite = politeness && new PoliteSource(options.source, politeness, host, options.isPaced)
    const source = this.#polite ?? options.source
    this.#source =
      this.#session &&
      new SessionSource(source, this.#session, onLoss, (worker) => options.source.mayCome?.(worker) === true)
    this.identity = options.identityOf(this.#session)

    // Nothing throws from here on, so that what is held is given back.
    const ends = this.#ends
    if (this.#session) ends.use(this.#session.use(sessions.idleLimit(routing.sessionTtlMs)))
    this.#session?.isKnownAs(this.identity)
    const abort = (reason: unknown) => this.abort(reason)
    ends.use(onAbort(signal, abort))
    ends.use(onAbort(life, abort))
    this.signal = this.#over.signal
    const selection = {
      key: stickyKey ?? host, // the same worker for all callers, whose circuits on it are apart
      ...(mode !== undefined && { mode }),
      ...(workerId !== undefined && { workerId }),
    }
    this.tries = new Tries({ source: this.#source ?? source, selection, clock, budget, onTry: routing.onTry })
    if (this.identity.isOneOff) ends.defer(() => this.#forget())
    ends.use(this.tries)
  }

  /**
   * Resolves once it has its first worker: at once if one is free, else when its turn has come, within `withinMs` at most. Rejects
   * with what the pool, the session or politeness has against it, and with the signal's reason.
   */
  async start(withinMs: number): Promise<void> {
    const { lines } = this.#options.order
    if (lines === undefined) {
      this.#checkHeldBack()
      this.tries.start()
      return
    }
    const attempt: LineRequest<undefined>['attempt'] = () => {
      this.#checkHeldBack()
      try {
        this.tries.start()
        return { taken: undefined }
      } catch (error) {
        if (!(error instanceof CbtorError)) throw error
        if (error.code === 'overloaded') return { line: this.#lines.worker, refusal: error }
        if (error.code === 'target_busy')
          return { line: this.#lines.host, refusal: error, inMs: error.retryAfterMs, everyMs: this.#polite?.everyMs }
        throw error
      }
    }
    const waiting = lines.enter({
      ...{ key: this.#key, withinMs, signal: this.signal, attempt },
      lines: () => [this.#lines.host, this.#lines.worker],
    })
    if (waiting !== undefined) await waiting
  }

  /** A redirect leads to that host. Throws `target_busy` when the host has asked to be left alone. */
  goesTo(host: string): void {
    this.#polite?.goesTo(host)
    this.#checkHeldBack()
  }

  /** The host has answered, with what it says of when to come back. */
  heard(status: number, retryAfter: string | undefined): void {
    if (this.#polite) this.#options.order.politeness?.answered(this.#key, this.#polite.host, status, retryAfter)
  }

  /**
   * The worker has done what it was asked to, and the session, if it is of one, is there now. True when the session's caller
   * sees another worker or exit than before.
   */
  answered(worker: string, exit: Exit | undefined): boolean {
    if (this.#source === undefined || this.#session === undefined) return false
    const rule = JSON.stringify(this.#options.routing.exitRule ?? '')
    return this.#session.answered(worker, exit, this.#source.lost, rule)
  }

  /** An answer came from the clearnet, and nobody tells by which exit. */
  cameByUnknownExit(): void {
    this.#session?.cameByUnknownExit()
  }

  /** Ends what is under way of it. */
  abort(reason: unknown): void {
    this.#over.abort(reason)
  }

  /** Disposes `part` at the end. */
  keep<T extends Disposable>(part: T): T {
    return this.#ends.use(part)
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
  }

  get #key(): string {
    return this.#options.routing.caller?.id ?? ''
  }

  /** What it may have to wait for: room at the host, then room on a worker. Another request of its session may have found one meanwhile. */
  get #lines(): { readonly host: string; readonly worker: string } {
    const { routing, host } = this.#options
    const worker = routing.workerId ?? this.#session?.worker
    const site = siteOf(host)
    if (worker === undefined) return { host: LINES.host(site), worker: LINES.pool }
    return { host: LINES.hostBy(site, worker), worker: LINES.worker(worker) }
  }

  #checkHeldBack(): void {
    const { politeness } = this.#options.order
    const retryAfterMs = (this.#polite && politeness?.heldBackMs(this.#key, this.#polite.host)) ?? 0
    if (retryAfterMs <= 0) return
    const message = 'Cannot ask the target: it has asked to be left alone for a while'
    throw new CbtorError('target_busy', message, { retryAfterMs })
  }

  #forget(): void {
    for (const lease of this.tries.leases) lease.forget(this.identity)
  }
}
