import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../../lib/clock.ts'

/** One request to a site, and its answer to be. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  /** What the route's pattern caught in the path. */
  readonly captured: readonly string[]
  readonly sourceAddress: string
  readonly clock: Clock
  /** Aborts when the client has gone away. */
  readonly signal: AbortSignal
}

export type Handler = (exchange: Exchange) => void | Promise<void>

/** Routes of a site: the first whose pattern matches the whole path answers. */
export type Routes = readonly (readonly [path: RegExp, handler: Handler])[]

/** What the client did wrong, told as a 400. */
export class BadRequest extends Error {}

export function sendJson({ response }: Exchange, value: unknown): void {
  send(response, 'application/json', `${JSON.stringify(value)}\n`)
}

export function send(response: ServerResponse, type: string, body: string | Buffer): void {
  response.setHeader('content-type', type)
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

/** The whole number that `text` is, if it lies between `min` and `max`. */
export function wholeNumber(text: string | undefined | null, name: string, min: number, max: number): number {
  const value = /^\d{1,12}$/.test(text ?? '') ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) {
    throw new BadRequest(`Cannot answer: ${name} must be a whole number from ${min} to ${max}, not "${text}"`)
  }
  return value
}

/** Header names and values as they came, in order. */
export function rawHeaderList({ rawHeaders }: IncomingMessage): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? ''])
  }
  return pairs
}
