import type { IncomingMessage } from 'node:http'
import { type Readable, Transform } from 'node:stream'
import { CbtorError } from '../domain/errors.ts'
import type { Attempt, Routing } from '../domain/exchange.ts'
import { isIdempotent } from '../domain/method.ts'
import { type Exit, isOnionHost } from '../domain/worker.ts'
import { onAbort } from '../lib/abort.ts'
import { type ConnectionCounts, Connections, type Destination } from './connections.ts'
import { endsInChunks } from './ending.ts'
import { abortFailure } from './failure.ts'
import { ForwardConnection, type RawExchange, type RawRequest } from './forward-connection.ts'
import type { HeaderList } from './headers.ts'
import { checkMethod } from './method.ts'
import type { Passage } from './passage.ts'
import type { CheckedUrl } from './target-policy.ts'
import { type Going, type Outcome, throughWorkers } from './through-workers.ts'
import { createHandshake } from './tls.ts'
import type { Traffic } from './traffic.ts'
import type { Trial } from './trial.ts'

/** One exchange by plain http, as the client of a proxy asks for it. */
export interface ForwardRequest extends Routing {
  /** As the client wrote it; the target policy has not seen it. */
  readonly url: string
  readonly method: string
  /** As they are to go out, without Host and what is of a connection. With Content-Length if the body's length is known. */
  readonly headers: HeaderList
  readonly body: Readable | undefined
}

export interface ForwardAnswer {
  readonly status: number
  readonly statusText: string
  /** As received. */
  readonly headers: HeaderList
  /** As received, without its framing. Errs when the connection is lost. It must be read or destroyed. */
  readonly body: Readable
  readonly worker: string
  /** In the order in which they began; the last one got the answer. */
  readonly attempts: readonly Attempt[]
}

export interface ForwarderOptions {
  readonly traffic: Traffic
  /** Told when a session of a request is on another worker or exit than before. */
  onSessionMoved(worker: string): void
}

/** For the connection alone: the answer may take as long as the client is patient. */
const CONNECT_WITHIN_MS = 60_000
const ONION_CONNECT_WITHIN_MS = 120_000
/** As long as Tor may need to tell. */
const EXIT_WAIT_MS = 5_000

/** What one request is to each worker that tries it. */
interface Hop {
  readonly passage: Passage
  readonly to: Destination
  readonly raw: RawRequest
  /** Whether it may be sent twice. */
  readonly isRepeatable: boolean
}

/** Sends requests on as they are, through the workers, and streams both ways. Dispose it to end its connections. */
export class Forwarder implements Disposable {
  readonly #traffic: Traffic
  readonly #connections: Connections<ForwardConnection>
  readonly #onSessionMoved: (worker: string) => void

  constructor(options: ForwarderOptions) {
    this.#traffic = options.traffic
    this.#onSessionMoved = (worker) => options.onSessionMoved(worker)
    this.#connections = new Connections({
      clock: this.#traffic.clock,
      handshake: createHandshake(),
      create: (connection) => new ForwardConnection(connection),
    })
    this.#traffic.ownsAlso(this.#connections)
  }

  get connections(): ConnectionCounts {
    return this.#connections.counts
  }

  /**
   * Resolves with the head of the target's answer. Until then a worker that fails is replaced, where that is safe: always before
   * the request is sent, and later when it has no body and is idempotent. Rejects with a CbtorError that has the `attempts`, or
   * with the signal's reason; the signal also ends what goes on after the head.
   */
  async forward(request: ForwardRequest, signal: AbortSignal): Promise<ForwardAnswer> {
    const traffic = this.#traffic
    request.body?.on('error', () => {}) // it may err before it is sent
    checkMethod(request.method)
    const checked = checkPlain(traffic.policyFor(request).checkUrl(request.url))
    const { url, target, isOnion } = checked
    using ends = new DisposableStack()
    // A page of plain http has a hundred parts, of which a browser asks for six at a time.
    const passage = ends.use(await traffic.begin(request, target.host, signal, { isPaced: false }))
    const isRepeatable = request.body === undefined && isIdempotent(request.method)
    const hop: Hop = {
      ...{ passage, isRepeatable },
      to: { url, target, identity: passage.identity },
      raw: { ...request, path: url.pathname + url.search, host: url.host },
    }
    const answer = await throughWorkers<ForwardAnswer>(
      {
        ...{ traffic, passage, request, isOnion },
        method: isRepeatable ? 'GET' : 'POST',
        connectBy: traffic.clock.monotonic() + (isOnion ? ONION_CONNECT_WITHIN_MS : CONNECT_WITHIN_MS),
        signal: passage.signal,
      },
      (going) => this.#send(hop, going),
    )
    ends.move()
    return answer
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]()
  }

  /** Takes a connection that waits for it, if sending twice does no harm, else a fresh one. Rejects when there is none. */
  async #send(hop: Hop, going: Going): Promise<Outcome<ForwardAnswer>> {
    const { to, raw, isRepeatable } = hop
    const { turn, trial } = going
    const idle = isRepeatable ? this.#connections.takeIdle(trial.workerId, to) : undefined
    const outcome = idle && (await this.#exchange(hop, going, idle))
    const wasStale = outcome?.type === 'failed' && outcome.error.code === 'connection_lost' && !trial.signal.aborted
    if (outcome !== undefined && !wasStale) return outcome

    let early: RawExchange | undefined
    const sendEarly = (connection: ForwardConnection) => {
      early = connection.send(raw)
    }
    const options = { onStream: () => trial.streamMade(), ...(isRepeatable && { sendEarly }) }
    const connection = await going.connecting(() => this.#connections.open(turn.lease, to, options, trial.signal))
    return await this.#exchange(hop, going, connection, early)
  }

  /** Never rejects. `early`: the exchange, if it went ahead of the connection. */
  async #exchange(
    hop: Hop,
    { turn, trial }: Going,
    connection: ForwardConnection,
    early?: RawExchange,
  ): Promise<Outcome<ForwardAnswer>> {
    const traffic = this.#traffic
    const { passage, to, raw } = hop
    const ends = new DisposableStack()
    ends.use(onAbort(trial.signal, () => this.#connections.discard(connection)))
    trial.sending()
    const exchange = early ?? connection.send(raw)
    let head: IncomingMessage
    try {
      head = await exchange.head
    } catch (error) {
      ends.dispose()
      this.#connections.discard(connection)
      const failure = trial.signal.aborted ? abortFailure(trial.signal.reason) : connection.failure(error)
      return { type: 'failed', error: failure, wasSent: true }
    }

    trial.received()
    trial.over()
    turn.succeed()
    const { id: worker } = turn.lease.worker
    this.#told(passage, worker, undefined)
    void connection.exit(EXIT_WAIT_MS).then((exit) => {
      if (exit !== undefined) this.#told(passage, worker, exit)
      else if (!isOnionHost(to.target.host)) passage.cameByUnknownExit()
    })
    const { statusCode: status = 0, statusMessage: statusText = '' } = head
    passage.heard(status, head.headers['retry-after'])
    const body = isCloseDelimited(head) ? unlessLost(head, trial, traffic.verdictMs) : head
    const bodyOver = new Promise((resolve) => body.once('close', resolve))
    void Promise.all([exchange.over, bodyOver]).then(([isReusable]) => {
      ends.dispose()
      if (isReusable) this.#connections.release(connection, to.identity)
      else this.#connections.discard(connection)
      passage[Symbol.dispose]()
    })
    return {
      type: 'good',
      value: {
        ...{ status, statusText, headers: pairs(head.rawHeaders), body, worker },
        attempts: passage.tries.attempts,
      },
    }
  }

  #told(passage: Passage, worker: string, exit: Exit | undefined): void {
    if (passage.answered(worker, exit)) this.#onSessionMoved(worker)
  }
}

function checkPlain(checked: CheckedUrl): CheckedUrl {
  if (checked.url.protocol === 'http:') return checked
  throw new CbtorError('use_connect', 'Cannot forward the request: only http URLs are, anything else needs CONNECT')
}

/** Where only the end of the connection tells the end of the body, the end of the worker must not pass for it. */
function unlessLost(source: IncomingMessage, trial: Trial, verdictMs: number): Readable {
  const checked = new Transform({
    transform: (chunk, _, done) => done(null, chunk),
    flush: (done) =>
      void trial.verdict(verdictMs).then(() => done(trial.signal.aborted ? abortFailure(trial.signal.reason) : null)),
  })
  source.once('error', (error) => checked.destroy(error)).pipe(checked)
  return checked.once('close', () => source.destroy())
}

function isCloseDelimited({ headers, statusCode = 0 }: IncomingMessage): boolean {
  const isFramed = headers['content-length'] !== undefined || endsInChunks(headers['transfer-encoding'] ?? '')
  return !isFramed && statusCode !== 204 && statusCode !== 304
}

/** Node gives names and values in turn. */
function pairs(raw: readonly string[]): HeaderList {
  const list: [string, string][] = []
  for (let at = 0; at + 1 < raw.length; at += 2) list.push([raw[at] ?? '', raw[at + 1] ?? ''])
  return list
}
