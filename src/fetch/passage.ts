import type { Routing } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import type { Exit } from '../domain/worker.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
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
 * and its hold on them and on its session. Dispose it at the end.
 */
export class Passage implements Disposable {
  readonly identity: Identity
  readonly tries: Tries
  /** Aborts when the caller is gone and when the service ends. */
  readonly signal: AbortSignal
  readonly #session: Session | undefined
  readonly #source: SessionSource | undefined
  readonly #ends: DisposableStack
  readonly #rule: string

  /** Throws what the pool or the session has against it. */
  constructor(options: PassageOptions) {
    const { clock, budget, sessions, routing, host, signal, life } = options
    const { caller, stickyKey, workerId, mode, onLoss = 'migrate' } = routing
    using ends = new DisposableStack()
    // A request that names its worker has the identity of its sticky key, but says nothing about where the session is.
    this.#session =
      stickyKey === undefined || workerId !== undefined ? undefined : sessions.open(sessionName(caller, stickyKey))
    if (this.#session) ends.use(this.#session.use(sessions.idleLimit(routing.sessionTtlMs)))
    this.#source = this.#session && new SessionSource(options.source, this.#session, onLoss)
    this.identity = options.identityOf(this.#session)
    this.#session?.isKnownAs(this.identity)
    this.#rule = JSON.stringify(routing.exitRule ?? '')

    const over = new AbortController()
    ends.use(onAbort(signal, (reason) => over.abort(reason)))
    ends.use(onAbort(life, (reason) => over.abort(reason)))
    this.signal = over.signal
    const selection = {
      key: stickyKey ?? host, // the same worker for all callers, whose circuits on it are apart
      ...(mode !== undefined && { mode }),
      ...(workerId !== undefined && { workerId }),
    }
    this.tries = new Tries({ source: this.#source ?? options.source, selection, clock, budget })
    if (this.identity.isOneOff) ends.defer(() => this.#forget())
    ends.use(this.tries)
    this.#ends = ends.move()
  }

  /**
   * The worker has done what it was asked to, and the session, if it is of one, is there now. True when the session's caller
   * sees another worker or exit than before.
   */
  answered(worker: string, exit: Exit | undefined): boolean {
    return this.#source !== undefined && this.#session?.answered(worker, exit, this.#source.lost, this.#rule) === true
  }

  /** An answer came from the clearnet, and nobody tells by which exit. */
  cameByUnknownExit(): void {
    this.#session?.cameByUnknownExit()
  }

  /** Disposes `part` at the end. */
  keep<T extends Disposable>(part: T): T {
    return this.#ends.use(part)
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
  }

  #forget(): void {
    for (const lease of this.tries.leases) lease.forget(this.identity)
  }
}
