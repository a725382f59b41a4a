import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest, Selection } from '../domain/exchange.ts'
import type { Identities } from '../domain/identity.ts'
import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import { type ConnectionCounts, Connections } from './connections.ts'
import { withAttempts } from './failure.ts'
import { FetchRun } from './fetch-run.ts'
import { requestHeaders } from './headers.ts'
import type { Hop } from './redirect.ts'
import type { TargetPolicy } from './target-policy.ts'
import { createHandshake } from './tls.ts'
import type { Trial } from './trial.ts'
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
}

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
  readonly #trials = new Set<Trial>()

  constructor(options: FetcherOptions) {
    const { clock, source, identities, policy, extraCa, ...limits } = options
    this.#clock = clock
    this.#source = source
    this.#identities = identities
    this.#policy = policy
    this.#connections = new Connections({ ...limits, clock, handshake: createHandshake(extraCa) })
  }

  /** How many connections serve a request now, and how many wait for a next one. */
  get connections(): ConnectionCounts {
    return this.#connections.counts
  }

  /**
   * Resolves with the target's answer, whatever its status. Rejects with a CbtorError that has the `attempts`, or with
   * the signal's reason when aborted; nothing goes on after that.
   */
  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    signal.throwIfAborted()
    const startedAt = this.#clock.monotonic()
    const first = this.#firstHop(request)
    const identity = this.#identities.for({ ...request, host: first.to.target.host })
    const selection = selectionOf(request, first)

    using limit = deadline(this.#clock, request.timeoutMs, signal, () => timeoutOf(request))
    using tries = new Tries(this.#source, selection, this.#clock)
    const run = new FetchRun({
      clock: this.#clock,
      policy: this.#policy,
      connections: this.#connections,
      trials: this.#trials,
      tries,
      request,
      identity,
      startedAt,
      endBy: startedAt + request.timeoutMs,
      signal: limit.signal,
    })
    try {
      return await run.follow(first)
    } catch (error) {
      throw error instanceof CbtorError && !signal.aborted ? withAttempts(error, tries.attempts) : error
    }
  }

  /** Ends what the worker's connections are kept for. Call it when the worker got new circuits. */
  dropConnections(workerId: string): void {
    this.#connections.dropWorker(workerId)
  }

  /** Gives up the worker at once: its tries fail with `worker_unreachable` and, where they may, go on elsewhere. */
  abandonWorker(workerId: string, reason: string): void {
    this.#connections.dropWorker(workerId)
    for (const trial of [...this.#trials]) {
      if (trial.workerId !== workerId) continue
      trial.abandon(new CbtorError('worker_unreachable', `Cannot go on through worker "${workerId}": ${reason}`))
    }
  }

  [Symbol.dispose](): void {
    for (const trial of [...this.#trials]) {
      trial.abandon(new CbtorError('shutting_down', 'Cannot go on with the fetch: the service is shutting down'))
    }
    this.#connections[Symbol.dispose]()
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
