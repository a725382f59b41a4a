import { CbtorError } from '../domain/errors.ts'
import type { Routing } from '../domain/exchange.ts'
import type { Identities, Identity } from '../domain/identity.ts'
import type { Clock } from '../lib/clock.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import type { Connections } from './connections.ts'
import { exitDemandOf } from './exit-demand.ts'
import type { Order } from './order.ts'
import { Passage } from './passage.ts'
import { RetryBudget } from './retry-budget.ts'
import { type Session, type SessionName, type SessionView, sessionName } from './session.ts'
import { Sessions } from './sessions.ts'
import type { TargetPolicy } from './target-policy.ts'
import { Trials } from './trials.ts'
import type { WorkerSource } from './worker-source.ts'

export interface TrafficOptions {
  readonly clock: Clock
  readonly source: WorkerSource
  readonly identities: Pick<Identities, 'for'>
  readonly policy: TargetPolicy
  readonly random?: Random
  /** How long a try may make no progress before its lease is told that it has stalled. */
  readonly stallMs?: number
  /** How long a connection that was lost may wait for `abandonWorker` before that counts as the target's fault. */
  readonly verdictMs?: number
  /** Of the whole service: to be shared by all who send its callers' requests. */
  readonly budget?: RetryBudget
  readonly sessions?: Sessions
  /** Also of the whole service. */
  readonly order?: Order
}

interface BeginOptions {
  readonly withinMs?: number
  readonly isPaced?: boolean
}

const STALL_MS = 2_000
/** The control port of a Tor that dies tells within a few milliseconds; the rest is for a machine that is busy. */
const VERDICT_MS = 150

/** What fetches, tunnels and forwarded requests have in common: who is who, and what becomes of all of them on a worker. */
export class Traffic implements Disposable {
  readonly clock: Clock
  readonly random: Random
  readonly sessions: Sessions
  readonly trials = new Trials()
  readonly stallMs: number
  readonly verdictMs: number
  readonly #policy: TargetPolicy
  readonly #source: WorkerSource
  readonly #identities: Pick<Identities, 'for'>
  readonly #budget: RetryBudget
  readonly #order: Order
  readonly #life = new AbortController()
  readonly #connections: Pick<Connections<never>, 'dropWorker' | 'dropIdentity'>[] = []

  constructor(options: TrafficOptions) {
    this.clock = options.clock
    this.random = options.random ?? systemRandom
    this.#policy = options.policy
    this.sessions = options.sessions ?? new Sessions({ clock: options.clock })
    this.sessions.onSuperseded((session) => this.#retire(session))
    this.stallMs = options.stallMs ?? STALL_MS
    this.verdictMs = options.verdictMs ?? VERDICT_MS
    this.#source = options.source
    this.#identities = options.identities
    this.#budget = options.budget ?? new RetryBudget(options.clock)
    this.#order = options.order ?? {}
  }

  /** What whoever asks may reach: it holds for each redirect, too. */
  policyFor({ caller }: Routing): TargetPolicy {
    return this.#policy.narrowedBy(caller?.targets)
  }

  /**
   * Resolves once the request has its first worker, for which it may have to wait in line, `withinMs` at most. Politeness counts it
   * for how many go to the host at a time and, if it `isPaced`, per second. Rejects with what
   * the pool, the session or politeness has against it, and when the signal is aborted or the service has ended.
   */
  async begin(
    routing: Routing,
    host: string,
    signal: AbortSignal,
    { withinMs = Number.POSITIVE_INFINITY, isPaced = true }: BeginOptions = {},
  ): Promise<Passage> {
    signal.throwIfAborted()
    this.#life.signal.throwIfAborted()
    const exit = exitDemandOf(routing, host, this.sessions)
    const passage = new Passage({
      clock: this.clock,
      source: this.#source,
      budget: this.#budget,
      sessions: this.sessions,
      order: this.#order,
      ...{ routing, host, signal, isPaced },
      life: this.#life.signal,
      identityOf: (session) => ({
        ...this.#identityOf(routing, host, session),
        ...(routing.caller && { owner: routing.caller.id }),
        ...(exit && { exit }),
      }),
    })
    try {
      await passage.start(withinMs)
    } catch (error) {
      passage[Symbol.dispose]()
      throw error
    }
    return passage
  }

  /** From now on drops of a worker's or identity's connections hold for these, too. */
  ownsAlso(connections: Pick<Connections<never>, 'dropWorker' | 'dropIdentity'>): void {
    this.#connections.push(connections)
  }

  /** As `Fetcher.rotateSession`. */
  rotateSession(name: SessionName): SessionView {
    const old = this.sessions.current(name)
    const session = this.sessions.rotate(name)
    this.#retire(old)
    return session
  }

  /** As `Fetcher.endSession`. */
  endSession(name: SessionName): void {
    const old = this.sessions.current(name)
    this.sessions.end(name)
    this.#retire(old)
  }

  /** As `Fetcher.dropConnections`. */
  dropConnections(workerId: string): void {
    for (const connections of this.#connections) connections.dropWorker(workerId)
  }

  /** As `Fetcher.abandonWorker`. */
  abandonWorker(workerId: string, reason: string): void {
    this.dropConnections(workerId)
    this.trials.abandonWorker(workerId, reason)
  }

  [Symbol.dispose](): void {
    this.sessions[Symbol.dispose]()
    this.#life.abort(new CbtorError('shutting_down', 'Cannot go on with the request: the service is shutting down'))
  }

  #identityOf(routing: Routing, host: string, session: Session | undefined): Identity {
    const { caller, isolation, stickyKey, exitRule } = routing
    const common = { isolation, host, ...(caller && { owner: caller.id }), ...(exitRule && { exitRule }) }
    if (stickyKey === undefined) return this.#identities.for(common)
    const generation = session?.generation ?? this.sessions.generationOf(sessionName(caller, stickyKey))
    return this.#identities.for({ ...common, stickyKey, generation })
  }

  /** Nobody becomes who the session was any more. Those who are end as it, and only then its circuits go. */
  #retire(session: Session): void {
    for (const { token } of session.identities) {
      for (const connections of this.#connections) connections.dropIdentity(token)
    }
    session.whenUnused(() => {
      if (session.worker === undefined) return
      for (const identity of session.identities) this.#source.forget?.(session.worker, identity)
    })
  }
}
