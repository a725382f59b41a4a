import type { AnswerHead, Receipt } from '../domain/exchange.ts'
import type { Clock } from '../lib/clock.ts'
import type { Connection } from './connection.ts'
import type { Exchange, ResponseHead } from './exchange.ts'
import type { Ledger } from './ledger.ts'
import type { Hop } from './redirect.ts'
import type { Trial } from './trial.ts'

/** An answer whose head has come, which is no redirect to follow. */
export interface Arrival {
  readonly hop: Hop
  readonly head: ResponseHead
  readonly exchange: Exchange
  readonly connection: Connection
  readonly trial: Trial
  readonly ledger: Ledger
  readonly clock: Clock
  /** How long a lost connection waits for the word that its worker is lost. */
  readonly verdictMs: number
}

/** What every answer says, whatever becomes of its body; the rest of the receipt is of the whole fetch. */
export type Answered = AnswerHead & Omit<Receipt, 'attempts' | 'redirects' | 'hedged' | 'sessionMoved'>

/** An answer, as it is given to the caller. */
export interface Taken<A extends Answered> {
  readonly answer: A
  /**
   * Resolves when the body is over, and never rejects: with whether the connection can serve on. Left out when it is over and can.
   * Until then the answer has the worker and the connection to itself.
   */
  readonly over?: Promise<boolean>
}

/** What becomes of an answer's body. Rejects with what went wrong: then it is as if the answer had not come. */
export type Ending<A extends Answered> = (arrival: Arrival) => Promise<Taken<A>>

/** Whether an answer has a body at all. */
export function hasBody({ hop: { method }, head: { status } }: Pick<Arrival, 'hop' | 'head'>): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

/** Whether nothing but the connection's end tells the end of the body (RFC 9112, section 6.3): so it may be cut short. */
export function endsWithConnection(arrival: Pick<Arrival, 'hop' | 'head'>): boolean {
  const isFramed = arrival.head.headers.some(
    ([name, value]) => name === 'content-length' || (name === 'transfer-encoding' && endsInChunks(value)),
  )
  return hasBody(arrival) && !isFramed
}

/** Whether a Transfer-Encoding tells the end of the body: only the last coding can, and only chunks do. */
export function endsInChunks(transferEncoding: string): boolean {
  return /(?:^|,)\s*chunked\s*$/i.test(transferEncoding)
}
