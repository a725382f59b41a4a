import type { FetchAnswer, FetchRequest, Timing } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import { isIdempotent } from '../domain/method.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Connection } from './connection.ts'
import type { Connections, Destination, OpenOptions } from './connections.ts'
import type { Exchange, ResponseHead } from './exchange.ts'
import { abortFailure, connectFailure } from './failure.ts'
import { endToEndHeaders, type HeaderList, withoutHeaders } from './headers.ts'
import type { Latencies } from './latencies.ts'
import { type Hop, isRedirect } from './redirect.ts'
import { discardBody, type ResponseBody, readBody } from './response-body.ts'
import { connectLimitMs, type FailedTry, mayLeave } from './retry-policy.ts'
import type { Trial } from './trial.ts'
import type { Tries, Try } from './tries.ts'

const CODING = new Set(['content-encoding'])

/** How long a whole answer may wait for Tor to tell its exit. */
const EXIT_WAIT_MS = 250

export interface SenderOptions {
  readonly clock: Clock
  readonly connections: Connections<Connection>
  readonly tries: Tries
  /** How long answers take to their first byte, by whether they come from onion services. */
  readonly latencies: { readonly onion: Latencies; readonly clearnet: Latencies }
  readonly request: FetchRequest
  readonly identity: Identity
  /** By the monotonic clock. */
  readonly startedAt: number
  readonly endBy: number
  /** How long a lost connection waits for the word that its worker is lost. */
  readonly verdictMs: number
}

export type Good =
  | { readonly type: 'redirected'; readonly head: ResponseHead }
  | { readonly type: 'answered'; readonly answer: Omit<FetchAnswer, 'redirects' | 'attempts'> }
export type Result = Good | ({ readonly type: 'failed'; readonly wasAnswered: boolean } & FailedTry)

/** Sends one hop of a fetch through one worker. */
export class Sender {
  readonly #options: SenderOptions
  readonly #queueMs: number

  /** Made as soon as there is a lease. */
  constructor(options: SenderOptions) {
    this.#options = options
    this.#queueMs = options.clock.monotonic() - options.startedAt
  }

  /** Never rejects. Takes a connection that waits for this hop, if sending twice does no harm, else a fresh one. */
  async send(hop: Hop, turn: Try, trial: Trial): Promise<Result> {
    const { connections, identity } = this.#options
    const to: Destination = { url: hop.to.url, target: hop.to.target, identity }
    if (isIdempotent(hop.method)) {
      const idle = connections.takeIdle(trial.workerId, to)
      const result = idle && (await this.#exchange(hop, idle, trial))
      if (result !== undefined && !wasStale(result, trial)) return result
    }
    try {
      return await this.#sendFresh(hop, to, turn, trial)
    } catch (error) {
      const failure = trial.signal.aborted ? abortFailure(trial.signal.reason) : connectFailure(error)
      return { type: 'failed', error: failure, wasSent: false, wasAnswered: false }
    }
  }

  /** Rejects when there is no connection. */
  async #sendFresh(hop: Hop, to: Destination, turn: Try, trial: Trial): Promise<Result> {
    let early: Exchange | undefined
    const sendEarly = isIdempotent(hop.method)
      ? (connection: Connection) => {
          early = dispatch(hop, connection, trial)
        }
      : undefined
    const connection = await this.#connect(hop, to, turn, trial, sendEarly)
    return await this.#exchange(hop, connection, trial, early)
  }

  async #connect(
    hop: Hop,
    to: Destination,
    turn: Try,
    trial: Trial,
    sendEarly: OpenOptions<Connection>['sendEarly'],
  ): Promise<Connection> {
    const { clock, tries, connections, endBy, request } = this.#options
    const limitMs = connectLimitMs(hop.to.isOnion, endBy - clock.monotonic())
    using _ = clock.timer(limitMs, () => {
      const code = trial.hasStream ? 'tls_failure' : 'tor_timeout'
      if (mayLeave(code, request) && tries.reserve(code)) trial.giveUpConnecting(limitMs)
    })
    trial.connecting()
    return await connections.open(turn.lease, to, { onStream: () => trial.streamMade(), sendEarly }, trial.signal)
  }

  /** Never rejects. The connection is given back or ended. `early`: the exchange, if it went ahead of the connection. */
  async #exchange(hop: Hop, connection: Connection, trial: Trial, early?: Exchange): Promise<Result> {
    const { clock, connections, identity, request } = this.#options
    using _ = onAbort(trial.signal, () => connections.discard(connection))
    trial.sending()
    const exchange = early ?? dispatch(hop, connection, trial)
    try {
      const head = await exchange.head
      this.#options.latencies[hop.to.isOnion ? 'onion' : 'clearnet'].add(exchange.answeredAt - trial.startedAt)
      if (request.followRedirects && isRedirect(head)) {
        await discardBody(exchange.body, clock)
        trial.over()
        connections.release(connection, identity)
        return { type: 'redirected', head }
      }
      const asking = connection.exit(EXIT_WAIT_MS)
      const body = await this.#read(hop, head, exchange)
      const bodyEndedAt = clock.monotonic()
      if (endsWithConnection(hop, head)) {
        await trial.verdict(this.#options.verdictMs)
        trial.signal.throwIfAborted()
      }
      trial.over()
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
      const failure = trial.signal.aborted ? abortFailure(trial.signal.reason) : connection.failure(error)
      return { type: 'failed', error: failure, wasSent: exchange.progress !== 'waiting', wasAnswered }
    }
  }

  async #read(hop: Hop, head: ResponseHead, exchange: Exchange): Promise<ResponseBody> {
    const { clock, request } = this.#options
    if (hasBody(hop, head)) {
      // Ranges count the coded bytes (RFC 9110, sections 8.1 and 14.1.2), and a part of those cannot be decoded.
      const headers = head.status === 206 ? withoutHeaders(head.headers, CODING) : head.headers
      return await readBody(exchange.body, headers, request.maxBytes)
    }
    await discardBody(exchange.body, clock)
    return { bytes: Buffer.alloc(0), isDecoded: false }
  }

  #timing(connection: Connection, exchange: Exchange, bodyEndedAt: number): Timing {
    const { standing } = connection
    return {
      queueMs: this.#queueMs,
      connectMs: connection.isReused ? 0 : standing.connectMs,
      tlsMs: connection.isReused ? 0 : standing.tlsMs,
      // A target may answer before it has read the whole request, and a request may go ahead of its connection.
      firstByteMs: Math.max(0, exchange.answeredAt - Math.max(exchange.sentAt, standing.at)),
      bodyMs: bodyEndedAt - exchange.answeredAt,
      totalMs: this.#options.clock.monotonic() - this.#options.startedAt,
    }
  }
}

function dispatch(hop: Hop, connection: Connection, trial: Trial): Exchange {
  const { pathname, search } = hop.to.url
  return connection.send({ ...hop, path: pathname + search }, () => trial.received())
}

/** Whether a kept-alive connection turned out to be dead: the target closed it before it saw the request. */
function wasStale(result: Result, trial: Trial): boolean {
  const isLost = result.type === 'failed' && !result.wasAnswered && result.error.code === 'connection_lost'
  return isLost && !trial.signal.aborted
}

function hasBody({ method }: Hop, { status }: ResponseHead): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

/** Whether nothing but the connection's end tells the end of the body (RFC 9112, section 6.3): so it may be cut short. */
function endsWithConnection(hop: Hop, head: ResponseHead): boolean {
  return hasBody(hop, head) && !head.headers.some(([name]) => name === 'content-length' || name === 'transfer-encoding')
}

/** A decoded body has neither the coding nor the length that were declared for it. */
function answerHeaders(head: ResponseHead, body: ResponseBody): HeaderList {
  const headers = endToEndHeaders(head.headers)
  return body.isDecoded ? withoutHeaders(headers, new Set(['content-encoding', 'content-length'])) : headers
}
