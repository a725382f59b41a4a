import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest, Receipt, StreamedAnswer } from '../domain/exchange.ts'
import { Connection } from './connection.ts'
import { type ConnectionCounts, Connections } from './connections.ts'
import { Dialer } from './dialer.ts'
import type { Answered, Ending } from './ending.ts'
import { withHistory } from './failure.ts'
import { FetchRun, type History } from './fetch-run.ts'
import { Forwarder } from './forwarder.ts'
import { requestHeaders, valuesOf } from './headers.ts'
import { Latencies } from './latencies.ts'
import { Ledger } from './ledger.ts'
import { checkMethod } from './method.ts'
import type { Hop } from './redirect.ts'
import type { SessionName, SessionView } from './session.ts'
import type { Sessions } from './sessions.ts'
import { streamedBody } from './streamed-body.ts'
import type { TargetPolicy } from './target-policy.ts'
import { createHandshake } from './tls.ts'
import { Traffic, type TrafficOptions } from './traffic.ts'
import { wholeBody } from './whole-body.ts'

export interface FetcherOptions extends TrafficOptions {
  /** Certificate authorities to trust beside Node's own, in PEM. */
  readonly extraCa?: readonly string[]
  /** How many connections wait for a next request, and how long. */
  readonly maxIdle?: number
  readonly idleMs?: number
  /** Told when a tunnel has brought a session to another worker or exit; of a fetch, its answer says so. */
  onSessionMoved?(worker: string): void
}

/** Fetches URLs through the workers of `source`, anonymously. Dispose it to end what goes on. */
export class Fetcher implements Disposable {
  /** For tunnels, which share workers, sessions and all else with fetches. */
  readonly dialer: Dialer
  /** For requests that are sent on as they are. */
  readonly forwarder: Forwarder
  readonly #traffic: Traffic
  readonly #connections: Connections<Connection>
  readonly #latencies = { onion: new Latencies(), clearnet: new Latencies() }

  constructor(options: FetcherOptions) {
    const { clock, extraCa, maxIdle, idleMs } = options
    this.#traffic = new Traffic(options)
    this.#connections = new Connections({
      clock,
      handshake: createHandshake(extraCa),
      create: (connection) => new Connection(connection),
      ...(maxIdle !== undefined && { maxIdle }),
      ...(idleMs !== undefined && { idleMs }),
    })
    this.#traffic.ownsAlso(this.#connections)
    const onSessionMoved = (worker: string) => options.onSessionMoved?.(worker)
    this.dialer = new Dialer({ traffic: this.#traffic, onSessionMoved })
    this.forwarder = new Forwarder({ traffic: this.#traffic, onSessionMoved })
  }

  /** How many connections serve a request now, and how many wait for a next one. */
  get connections(): ConnectionCounts {
    return this.#connections.counts
  }

  /** The sessions of the sticky keys, to be looked at. */
  get sessions(): Pick<Sessions, 'list' | 'find' | 'get' | 'size'> {
    return this.#traffic.sessions
  }

  /**
   * Resolves with the target's answer, whatever its status. Rejects with a CbtorError that has the `attempts` and the
   * `redirects`, also for one that the signal was aborted with, or with any other reason of the signal; nothing goes on after that.
   */
  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    using ends = new DisposableStack()
    const { answer } = await this.#answered(request, wholeBody(request), signal, ends)
    return answer
  }

  /**
   * As `fetch`, but resolves with the first byte of the answer: its body is handed out as it comes, still coded. Until then
   * workers are tried as for any fetch within `timeoutMs`, which bounds each pause of the body from then on. The signal ends that, too.
   */
  async stream(request: FetchRequest, signal: AbortSignal): Promise<StreamedAnswer> {
    using ends = new DisposableStack()
    const { answer: given, ledger } = await this.#answered(request, streamedBody(request), signal, ends)
    const { bodyEnd, ...answer } = given
    const { body, bodyLength, url, status, statusText, headers, ...receipt } = answer
    const rest = ends.move()
    const ended = bodyEnd.then(({ failure, ...last }) => {
      rest.dispose()
      return { receipt: { ...receipt, ...last, bytes: { ...last.bytes, ...ledger.wire } }, failure }
    })
    return { ...answer, ended }
  }

  /** What is disposed with `ends` the answer needs for as long as its body is not over. */
  async #answered<A extends Answered>(
    request: FetchRequest,
    ending: Ending<A>,
    signal: AbortSignal,
    ends: DisposableStack,
  ): Promise<{ answer: A & History & Pick<Receipt, 'sessionMoved'>; ledger: Ledger }> {
    signal.throwIfAborted()
    const { clock } = this.#traffic
    const policy = this.#traffic.policyFor(request)
    const startedAt = clock.monotonic()
    const first = firstHop(request, policy)
    const passage = ends.use(
      await this.#traffic.begin(request, first.to.target.host, signal, { withinMs: request.timeoutMs }),
    )
    const { tries, identity } = passage
    using _ = clock.timer(startedAt + request.timeoutMs - clock.monotonic(), () => passage.abort(timeoutOf(request)))
    const ledger = new Ledger({ clock, request, tries, startedAt })
    const run = new FetchRun({
      ...{ clock, policy, request, tries, identity, ledger, ending },
      random: this.#traffic.random,
      connections: this.#connections,
      trials: this.#traffic.trials,
      latencies: this.#latencies,
      stallMs: this.#traffic.stallMs,
      verdictMs: this.#traffic.verdictMs,
      endBy: startedAt + request.timeoutMs,
      onHop: (host) => passage.goesTo(host),
      signal: passage.signal,
    })
    try {
      const found = await run.follow(first)
      passage.heard(found.status, valuesOf(found.headers, 'retry-after')[0])
      const answer = { ...found, bytes: { ...found.bytes, ...ledger.wire } }
      const isMoved = passage.answered(answer.worker, answer.exit)
      if (answer.exit === undefined && !run.isAtOnion) passage.cameByUnknownExit()
      return { answer: isMoved ? { ...answer, sessionMoved: true } : answer, ledger }
    } catch (error) {
      const fault: unknown = signal.aborted ? signal.reason : error
      if (!(fault instanceof CbtorError)) throw fault
      const { attempts, refusal } = tries
      throw withHistory(fault, { attempts, redirects: run.redirects, receipt: ledger.failure() }, refusal)
    } finally {
      tries.settle()
    }
  }

  /**
   * Renews the identity of a sticky key: its next request has circuits and connections of its own. Requests that are
   * going on end as who they were. Throws `session_not_found`.
   */
  rotateSession(name: SessionName): SessionView {
    return this.#traffic.rotateSession(name)
  }

  /** Ends the session: the next request of the key begins another one, as somebody else. Throws `session_not_found`. */
  endSession(name: SessionName): void {
    this.#traffic.endSession(name)
  }

  /** Ends what the worker's connections are kept for. Call it when the worker got new circuits. Requests go on. */
  dropConnections(workerId: string): void {
    this.#traffic.dropConnections(workerId)
  }

  /**
   * The worker does not answer, but may come back: its tries that are stalled just now, or stall later and before
   * anything moves on it again, go on elsewhere. Those that have nowhere to go, or may have reached the target and must
   * not be sent twice, stay.
   */
  abandonStalled(workerId: string, reason: string): void {
    this.#traffic.trials.abandonStalled(workerId, reason)
  }

  /** The worker answers again: nothing leaves it because of an earlier `abandonStalled`. */
  trustAgain(workerId: string): void {
    this.#traffic.trials.trustAgain(workerId)
  }

  /** Gives up the worker at once: its tries fail with `worker_unreachable` and, where they may, go on elsewhere. */
  abandonWorker(workerId: string, reason: string): void {
    this.#traffic.abandonWorker(workerId, reason)
  }

  [Symbol.dispose](): void {
    this.#traffic[Symbol.dispose]()
    this.#connections[Symbol.dispose]()
    this.forwarder[Symbol.dispose]()
  }
}

function firstHop(request: FetchRequest, policy: TargetPolicy): Hop {
  checkMethod(request.method)
  return {
    to: policy.checkUrl(request.url),
    method: request.method,
    headers: requestHeaders(request.headers, request.withoutHeaders),
    body: request.body,
  }
}

function timeoutOf({ timeoutMs }: FetchRequest): CbtorError {
  return new CbtorError('timeout', `Cannot complete the fetch: no whole answer within ${timeoutMs} ms`)
}
