import type { FetchRequest, WireBytes } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import { isIdempotent } from '../domain/method.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Connection } from './connection.ts'
import type { Connections, Destination, OpenOptions } from './connections.ts'
import type { Answered, Ending, Taken } from './ending.ts'
import type { Exchange, ResponseHead } from './exchange.ts'
import { abortFailure, connectFailure } from './failure.ts'
import type { Latencies } from './latencies.ts'
import type { Ledger } from './ledger.ts'
import { type Hop, isRedirect } from './redirect.ts'
import { discardBody } from './response-body.ts'
import { connectLimitMs, type FailedTry, mayLeave } from './retry-policy.ts'
import type { Trial } from './trial.ts'
import type { Tries, Try } from './tries.ts'

export interface SenderOptions<A extends Answered> {
  readonly clock: Clock
  readonly connections: Connections<Connection>
  readonly tries: Tries
  /** How long answers take to their first byte, by whether they come from onion services. */
  readonly latencies: { readonly onion: Latencies; readonly clearnet: Latencies }
  readonly request: FetchRequest
  readonly identity: Identity
  readonly ledger: Ledger
  readonly ending: Ending<A>
  /** By the monotonic clock. */
  readonly endBy: number
  /** How long a lost connection waits for the word that its worker is lost. */
  readonly verdictMs: number
}

export type Good<A extends Answered> =
  | { readonly type: 'redirected'; readonly head: ResponseHead }
  | ({ readonly type: 'answered' } & Taken<A>)
type Failed = { readonly type: 'failed'; readonly wasAnswered: boolean } & FailedTry
export type Result<A extends Answered> = Good<A> | Failed

/** Sends one hop of a fetch through one worker. */
export class Sender<A extends Answered> {
  readonly #options: SenderOptions<A>

  constructor(options: SenderOptions<A>) {
    this.#options = options
  }

  /** Never rejects. Takes a connection that waits for this hop, if sending twice does no harm, else a fresh one. */
  async send(hop: Hop, turn: Try, trial: Trial): Promise<Result<A>> {
    const { connections, identity } = this.#options
    const to: Destination = { url: hop.to.url, target: hop.to.target, identity }
    if (isIdempotent(hop.method)) {
      const idle = connections.takeIdle(trial.workerId, to)
      const result = idle && (await this.#exchange(hop, idle, turn, trial))
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
  async #sendFresh(hop: Hop, to: Destination, turn: Try, trial: Trial): Promise<Result<A>> {
    let early: Exchange | undefined
    const sendEarly = isIdempotent(hop.method)
      ? (connection: Connection) => {
          early = dispatch(hop, connection, trial)
        }
      : undefined
    const connection = await this.#connect(hop, to, turn, trial, sendEarly)
    return await this.#exchange(hop, connection, turn, trial, early)
  }

  async #connect(
    hop: Hop,
    to: Destination,
    turn: Try,
    trial: Trial,
    sendEarly: OpenOptions<Connection>['sendEarly'],
  ): Promise<Connection> {
    const { clock, tries, connections, endBy, request, ledger } = this.#options
    const limitMs = connectLimitMs(hop.to.isOnion, endBy - clock.monotonic())
    using _ = clock.timer(limitMs, () => {
      const code = trial.hasStream ? 'tls_failure' : 'tor_timeout'
      if (mayLeave(code, request) && tries.reserve(code)) trial.giveUpConnecting(limitMs)
    })
    trial.connecting()
    const told = { onStream: () => trial.streamMade(), onLost: (carried: WireBytes) => ledger.add(carried) }
    return await connections.open(turn.lease, to, { ...told, sendEarly }, trial.signal)
  }

  /** Never rejects. The connection is given back or ended, or will be. `early`: the exchange, if it went ahead of it. */
  async #exchange(hop: Hop, connection: Connection, turn: Try, trial: Trial, early?: Exchange): Promise<Result<A>> {
    const { clock, connections, identity, request, ledger, ending, verdictMs } = this.#options
    const ends = new DisposableStack()
    ends.use(onAbort(trial.signal, () => connections.discard(connection)))
    const end = (isReusable: boolean) => {
      ends.dispose()
      ledger.count(connection)
      if (isReusable) connections.release(connection, identity)
      else connections.discard(connection)
    }
    ledger.uses(connection, turn)
    trial.sending()
    const exchange = early ?? dispatch(hop, connection, trial)
    try {
      const head = await exchange.head
      this.#options.latencies[hop.to.isOnion ? 'onion' : 'clearnet'].add(exchange.answeredAt - trial.startedAt)
      if (request.followRedirects && isRedirect(head)) {
        await discardBody(exchange.body, clock)
        trial.over()
        end(true)
        return { type: 'redirected', head }
      }
      const taken = await ending({ hop, head, exchange, connection, trial, ledger, clock, verdictMs })
      // Not before: from then on it may serve another fetch.
      if (taken.over === undefined) end(true)
      else void taken.over.then(end)
      return { type: 'answered', ...taken }
    } catch (error) {
      end(false)
      const wasAnswered = exchange.progress === 'answered'
      const failure = trial.signal.aborted ? abortFailure(trial.signal.reason) : connection.failure(error)
      return { type: 'failed', error: failure, wasSent: exchange.progress !== 'waiting', wasAnswered }
    }
  }
}

function dispatch(hop: Hop, connection: Connection, trial: Trial): Exchange {
  const { pathname, search } = hop.to.url
  return connection.send({ ...hop, path: pathname + search }, () => trial.received())
}

/** Whether a kept-alive connection turned out to be dead: the target closed it before it saw the request. */
function wasStale(result: Result<Answered>, trial: Trial): boolean {
  const isLost = result.type === 'failed' && !result.wasAnswered && result.error.code === 'connection_lost'
  return isLost && !trial.signal.aborted
}
