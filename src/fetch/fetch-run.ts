import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer, FetchRequest, Redirect, Timing } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Connection } from './connection.ts'
import type { Connections, Destination } from './connections.ts'
import type { Exchange, ResponseHead } from './exchange.ts'
import { connectFailure, exchangeFailure } from './failure.ts'
import { endToEndHeaders, type HeaderList, withoutHeaders } from './headers.ts'
import { type Hop, isRedirect, nextHop } from './redirect.ts'
import { discardBody, type ResponseBody, readBody } from './response-body.ts'
import { connectLimitMs, type FailedTry, isIdempotent, mostTelling, shouldTryElsewhere } from './retry-policy.ts'
import type { TargetPolicy } from './target-policy.ts'
import { Trial } from './trial.ts'
import type { Tries } from './tries.ts'

/** How long a whole answer may wait for Tor to tell its exit. */
const EXIT_WAIT_MS = 250

export interface FetchRunOptions {
  readonly clock: Clock
  readonly policy: TargetPolicy
  readonly connections: Connections
  readonly tries: Tries
  /** The tries that go on, of all fetches. */
  readonly trials: Set<Trial>
  readonly request: FetchRequest
  readonly identity: Identity
  /** By the monotonic clock. */
  readonly startedAt: number
  readonly endBy: number
  /** Aborts at `endBy`, and when the caller goes away. */
  readonly signal: AbortSignal
}

type Result =
  | { readonly type: 'redirected'; readonly head: ResponseHead }
  | { readonly type: 'answered'; readonly answer: Omit<FetchAnswer, 'redirects' | 'attempts'> }
  | ({ readonly type: 'failed'; readonly wasAnswered: boolean } & FailedTry)

/** One fetch: a chain of hops, each of them tried on one worker after another, always as the same identity. */
export class FetchRun {
  readonly #options: FetchRunOptions
  readonly #queueMs: number

  /** Made as soon as there is a lease. */
  constructor(options: FetchRunOptions) {
    this.#options = options
    this.#queueMs = options.clock.monotonic() - options.startedAt
  }

  /** Rejects with a CbtorError, or with the signal's reason. */
  async follow(first: Hop): Promise<FetchAnswer> {
    const { request, policy, tries } = this.#options
    const redirects: Redirect[] = []
    try {
      for (let hop = first; ; ) {
        const result = await this.#request(hop)
        if (result.type === 'answered') {
          tries.end('ok')
          return { ...result.answer, redirects, attempts: tries.attempts }
        }
        if (redirects.length >= request.maxRedirects) {
          throw new CbtorError(
            'redirect_limit',
            `Cannot follow the redirect: there are more than ${request.maxRedirects}`,
          )
        }
        const next = nextHop(hop, result.head, policy, request)
        redirects.push({ status: result.head.status, from: hop.to.url.href, to: next.to.url.href })
        hop = next
      }
    } finally {
      // A try that failed has been ended. One that is left did its part, even when we refuse the redirect that it got.
      tries.end('ok')
    }
  }

  /** One hop, on as many workers as it takes. */
  async #request(hop: Hop): Promise<Exclude<Result, { type: 'failed' }>> {
    const { tries, signal } = this.#options
    const failed: FailedTry[] = []
    for (;;) {
      using trial = new Trial(tries.lease.worker.id, this.#options.trials, signal)
      const result = await this.#try(hop, trial)
      if (result.type !== 'failed') return result
      if (signal.aborted) {
        tries.end(outcomeOfAbort(signal.reason, trial))
        throw signal.reason
      }
      failed.push(result)
      const goesOn = shouldTryElsewhere(hop.method, failed) && tries.hasNext()
      tries.end(result.error.code)
      if (!goesOn) throw mostTelling(failed)
      tries.advance()
    }
  }

  /** One hop on one worker: on a connection that waits for it, if sending twice does no harm, else on a fresh one. */
  async #try(hop: Hop, trial: Trial): Promise<Result> {
    const { connections, identity } = this.#options
    const to: Destination = { url: hop.to.url, target: hop.to.target, identity }
    if (isIdempotent(hop.method)) {
      const idle = connections.takeIdle(trial.workerId, to)
      const result = idle && (await this.#exchange(hop, idle, trial))
      if (result !== undefined && !wasStale(result, trial)) return result
    }
    try {
      return await this.#exchange(hop, await this.#connect(hop, to, trial), trial)
    } catch (error) {
      return { type: 'failed', error: connectFailure(error), wasSent: false, wasAnswered: false }
    }
  }

  async #connect(hop: Hop, to: Destination, trial: Trial): Promise<Connection> {
    const { clock, tries, connections, endBy } = this.#options
    const limitMs = connectLimitMs(hop.to.isOnion, endBy - clock.monotonic())
    using _ = clock.timer(limitMs, () => tries.hasNext() && trial.giveUpConnecting(limitMs))
    trial.hasStream = false
    const onStream = () => {
      trial.hasStream = true
    }
    return await connections.open(tries.lease, to, onStream, trial.signal)
  }

  /** Never rejects. The connection is given back or ended. */
  async #exchange(hop: Hop, connection: Connection, trial: Trial): Promise<Result> {
    const { clock, connections, identity, request } = this.#options
    trial.hasStream = true
    using _ = onAbort(trial.signal, () => connections.discard(connection))
    const { pathname, search } = hop.to.url
    const exchange = connection.send({ ...hop, path: pathname + search })
    try {
      const head = await exchange.head
      if (request.followRedirects && isRedirect(head)) {
        await discardBody(exchange.body, clock)
        connections.release(connection, identity)
        return { type: 'redirected', head }
      }
      const asking = connection.exit(EXIT_WAIT_MS)
      const body = await this.#read(hop, head, exchange)
      const bodyEndedAt = clock.monotonic()
      const exit = await asking
      const answer = {
        url: hop.to.url.href,
        status: head.status,
        statusText: head.statusText,
        headers: answerHeaders(head, body),
        body: body.bytes,
        worker: connection.key.workerId,
        route: connection.route,
        exit,
        connectionReused: connection.isReused,
        timing: this.#timing(connection, exchange, bodyEndedAt),
      }
      // Not before: from then on it may serve another fetch.
      connections.release(connection, identity)
      return { type: 'answered', answer }
    } catch (error) {
      connections.discard(connection)
      const wasAnswered = exchange.progress === 'answered'
      const cause = trial.signal.aborted ? trial.signal.reason : error
      return { type: 'failed', error: exchangeFailure(cause), wasSent: exchange.progress !== 'waiting', wasAnswered }
    }
  }

  async #read(hop: Hop, head: ResponseHead, exchange: Exchange): Promise<ResponseBody> {
    const hasNoBody = hop.method === 'HEAD' || head.status === 204 || head.status === 304
    const { clock, request } = this.#options
    if (!hasNoBody) return await readBody(exchange.body, head.headers, request.maxBytes)
    await discardBody(exchange.body, clock)
    return { bytes: Buffer.alloc(0), isDecoded: false }
  }

  #timing(connection: Connection, exchange: Exchange, bodyEndedAt: number): Timing {
    return {
      queueMs: this.#queueMs,
      connectMs: connection.isReused ? 0 : connection.connectMs,
      tlsMs: connection.isReused ? 0 : connection.tlsMs,
      // A target may answer before it has read the whole request.
      firstByteMs: Math.max(0, exchange.answeredAt - exchange.sentAt),
      bodyMs: bodyEndedAt - exchange.answeredAt,
      totalMs: this.#options.clock.monotonic() - this.#options.startedAt,
    }
  }
}

/** Whether a kept-alive connection turned out to be dead: the target closed it before it saw the request. */
function wasStale(result: Result, trial: Trial): boolean {
  const isLost = result.type === 'failed' && !result.wasAnswered && result.error.code === 'connection_lost'
  return isLost && !trial.signal.aborted
}

/** Who is to blame when time is up: Tor while there is no stream, the target after that; nobody when the caller left. */
function outcomeOfAbort(reason: unknown, trial: Trial): ProblemCode {
  if (!(reason instanceof CbtorError) || reason.code !== 'timeout') return 'client_gone'
  return trial.hasStream ? 'timeout' : 'tor_timeout'
}

/** A decoded body has neither the coding nor the length that were declared for it. */
function answerHeaders(head: ResponseHead, body: ResponseBody): HeaderList {
  const headers = endToEndHeaders(head.headers)
  return body.isDecoded ? withoutHeaders(headers, new Set(['content-encoding', 'content-length'])) : headers
}
