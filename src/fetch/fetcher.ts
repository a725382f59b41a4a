import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest, Selection } from '../domain/exchange.ts'
import type { Identities, Identity } from '../domain/identity.ts'
import { deadline, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import { type ConnectionCounts, Connections } from './connections.ts'
import { withHistory } from './failure.ts'
import { FetchRun } from './fetch-run.ts'
import { requestHeaders } from './headers.ts'
import { Latencies } from './latencies.ts'
import type { Hop } from './redirect.ts'
import { RetryBudget } from './retry-budget.ts'
import type { Session, SessionView } from './session.ts'
import { SessionSource } from './session-source.ts'
import { Sessions } from './sessions.ts'
import type { TargetPolicy } from './target-policy.ts'
import { createHandshake } from './tls.ts'
import { Trials } from './trials.ts'
import { Tries } from './tries.ts'
import type { WorkerSource } from './worker-source.ts'

export interface FetcherOptions {
  readonly clock: Clock
  readonly source: WorkerSource
  readonly identities: Pick<Identities, 'for'>
  readonly policy: TargetPolicy
  /** Certificate authorities to trust beside Node's own, in PEM. */
  readonly extraCa?: readonly string[]
  /** How many connections wait for a next request, and how long. */
  readonly maxIdle?: number
  readonly idleMs?: number
  readonly random?: Random
  /** How long a try may make no progress before its lease is told that it has stalled. */
  readonly stallMs?: number
  /** How long a connection that was lost may wait for `abandonWorker` before that counts as the target's fault. */
  readonly verdictMs?: number
  /** Of the whole service: to be shared by all who send its callers' requests. */
  readonly budget?: RetryBudget
  readonly sessions?: Sessions
}

const STALL_MS = 2_000
/** The control port of a Tor that dies tells within a few milliseconds; the rest is for a machine that is busy. */
const VERDICT_MS = 150

/** RFC 9110, section 5.6.2: token. */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/
/** A tunnel is no exchange, and TRACE would show to the target's side what is meant to stay between us and it. */
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Fetches URLs through the workers of `source`, anonymously. Dispose it to end what goes on. */
export class Fetcher implements Disposable {
  readonly #clock: Clock
  readonly #source: WorkerSource
  readonly #identities: Pick<Identities, 'for'>
  readonly #policy: TargetPolicy
  readonly #connections: Connections
  readonly #random: Random
  readonly #stallMs: number
  readonly #verdictMs: number
  readonly #budget: RetryBudget
  readonly #sessions: Sessions
  readonly #trials = new Trials()
  readonly #life = new AbortController()
  readonly #latencies = { onion: new Latencies(), clearnet: new Latencies() }

  constructor(options: FetcherOptions) {
    const { clock, source, identities, policy, extraCa, maxIdle, idleMs } = options
    this.#clock = clock
    this.#source = source
    this.#identities = identities
    this.#policy = policy
    this.#random = options.random ?? systemRandom
    this.#stallMs = options.stallMs ?? STALL_MS
    this.#verdictMs = options.verdictMs ?? VERDICT_MS
    this.#budget = options.budget ?? new RetryBudget(clock)
    this.#sessions = options.sessions ?? new Sessions({ clock })
    this.#connections = new Connections({
      clock,
      handshake: createHandshake(extraCa),
      ...(maxIdle !== undefined && { maxIdle }),
      ...(idleMs !== undefined && { idleMs }),
    })
  }

  /** How many connections serve a request now, and how many wait for a next one. */
  get connections(): ConnectionCounts {
    return this.#connections.counts
  }

  /** The sessions of the sticky keys, to be looked at. */
  get sessions(): Pick<Sessions, 'list' | 'find' | 'get'> {
    return this.#sessions
  }

  /**
   * Resolves with the target's answer, whatever its status. Rejects with a CbtorError that has the `attempts` and the
   * `redirects`, or with the signal's reason when aborted; nothing goes on after that.
   */
  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    signal.throwIfAborted()
    this.#life.signal.throwIfAborted()
    const startedAt = this.#clock.monotonic()
    const first = this.#firstHop(request)
    // A request that names its worker has the identity of its sticky key, but says nothing about where the session is.
    const { stickyKey, workerId, onLoss = 'migrate' } = request
    const session = stickyKey === undefined || workerId !== undefined ? undefined : this.#sessions.open(stickyKey)
    using _ = session?.use(this.#sessions.idleLimit(request.sessionTtlMs))
    const source = session && new SessionSource(this.#source, session, onLoss)

    const ends = new AbortController()
    using _gone = onAbort(signal, (reason) => ends.abort(reason))
    using _over = onAbort(this.#life.signal, (reason) => ends.abort(reason))
    using limit = deadline(this.#clock, request.timeoutMs, ends.signal, () => timeoutOf(request))
    using tries = new Tries({
      source: source ?? this.#source,
      selection: selectionOf(request, first),
      clock: this.#clock,
      budget: this.#budget,
    })
    const run = new FetchRun({
      clock: this.#clock,
      random: this.#random,
      policy: this.#policy,
      connections: this.#connections,
      trials: this.#trials,
      latencies: this.#latencies,
      stallMs: this.#stallMs,
      verdictMs: this.#verdictMs,
      tries,
      request,
      identity: this.#identityOf(request, first, session),
      startedAt,
      endBy: startedAt + request.timeoutMs,
      signal: limit.signal,
    })
    try {
      const answer = await run.follow(first)
      const hasMoved = source && session?.answered(answer.worker, answer.exit, source.lost)
      return hasMoved ? { ...answer, sessionMoved: true } : answer
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (!(error instanceof CbtorError)) throw error
      const { attempts, refusal } = tries
      throw withHistory(error, { attempts, redirects: run.redirects }, refusal)
    }
  }

  /**
   * Renews the identity of a sticky key: its next request has circuits and connections of its own. Requests that are
   * going on end as who they were. Throws `session_not_found`.
   */
  rotateSession(key: string): SessionView {
    const old = this.#sessions.get(key)
    const session = this.#sessions.rotate(key)
    this.#dropIdentity(old)
    return session
  }

  /** Ends the session: the next request of the key begins another one, as somebody else. Throws `session_not_found`. */
  endSession(key: string): void {
    const old = this.#sessions.get(key)
    this.#sessions.end(key)
    this.#dropIdentity(old)
  }

  /** Ends what the worker's connections are kept for. Call it when the worker got new circuits. Requests go on. */
  dropConnections(workerId: string): void {
    this.#connections.dropWorker(workerId)
  }

  /**
   * The worker does not answer, but may come back: its tries that are stalled just now, or stall later and before
   * anything moves on it again, go on elsewhere. Those that have nowhere to go, or may have reached the target and must
   * not be sent twice, stay.
   */
  abandonStalled(workerId: string, reason: string): void {
    this.#trials.abandonStalled(workerId, reason)
  }

  /** The worker answers again: nothing leaves it because of an earlier `abandonStalled`. */
  trustAgain(workerId: string): void {
    this.#trials.trustAgain(workerId)
  }

  /** Gives up the worker at once: its tries fail with `worker_unreachable` and, where they may, go on elsewhere. */
  abandonWorker(workerId: string, reason: string): void {
    this.#connections.dropWorker(workerId)
    this.#trials.abandonWorker(workerId, reason)
  }

  [Symbol.dispose](): void {
    this.#life.abort(new CbtorError('shutting_down', 'Cannot go on with the fetch: the service is shutting down'))
    this.#connections[Symbol.dispose]()
  }

  #identityOf(request: FetchRequest, first: Hop, session: Session | undefined): Identity {
    const { isolation, stickyKey } = request
    const { host } = first.to.target
    if (stickyKey === undefined) return this.#identities.for({ isolation, host })
    const generation = session?.generation ?? this.#sessions.generationOf(stickyKey)
    return this.#identities.for({ isolation, host, stickyKey, generation })
  }

  #dropIdentity({ key, generation }: SessionView): void {
    const { token } = this.#identities.for({ isolation: 'none', host: '', stickyKey: key, generation })
    this.#connections.dropIdentity(token)
  }

  #firstHop(request: FetchRequest): Hop {
    if (!METHOD.test(request.method) || REFUSED_METHODS.has(request.method.toUpperCase())) {
      const shown = printable(request.method)
      throw new CbtorError('invalid_input', `Cannot send the request: its method cannot be used: "${shown}"`)
    }
    return {
      to: this.#policy.checkUrl(request.url),
      method: request.method,
      headers: requestHeaders(request.headers),
      body: request.body,
    }
  }
}

function selectionOf({ stickyKey, mode, workerId }: FetchRequest, first: Hop): Selection {
  return {
    key: stickyKey ?? first.to.target.host,
    ...(mode !== undefined && { mode }),
    ...(workerId !== undefined && { workerId }),
  }
}

function timeoutOf({ timeoutMs }: FetchRequest): CbtorError {
  return new CbtorError('timeout', `Cannot complete the fetch: no whole answer within ${timeoutMs} ms`)
}
