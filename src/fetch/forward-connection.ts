import { Agent, type ClientRequest, type IncomingMessage, request as requestOf } from 'node:http'
import { type Duplex, pipeline, type Readable } from 'node:stream'
import type { HeaderList } from './headers.ts'
import { type ConnectionOptions, KeptConnection, MAX_HEADER_BYTES } from './kept-connection.ts'

/** A request as it is to be on the wire. */
export interface RawRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly host: string
  /** What follows Host. With Content-Length, if the length of the body is known. */
  readonly headers: HeaderList
  readonly body: Readable | undefined
}

/** One request and its answer. */
export interface RawExchange {
  /** Its body errs when the connection is lost. Rejects with Node's or the socket's error. */
  readonly head: Promise<IncomingMessage>
  /** Resolves when nothing more will happen: with whether the connection can take another exchange. */
  readonly over: Promise<boolean>
}

/**
 * Speaks HTTP/1.1 for clients of the proxy, one exchange at a time, and adds nothing to what they say: headers go out in their
 * case and order, and come back so. Node writes and parses; it never connects, for its agent has the one socket only.
 */
export class ForwardConnection extends KeptConnection {
  readonly #agent: Agent

  constructor(options: ConnectionOptions) {
    super(options)
    this.#agent = agentOf(options.socket)
  }

  send({ method, path, host, headers, body }: RawRequest): RawExchange {
    this.exchanges++
    const request = requestOf({
      ...{ method, path, agent: this.#agent },
      setHost: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      insecureHTTPParser: false, // whatever Node was started with
    })
    // What is removed before it was set Node does not add either.
    for (const name of ['Connection', 'Content-Length', 'Transfer-Encoding']) request.removeHeader(name)
    request.setHeader('Host', host)
    for (const [name, value] of headers) request.appendHeader(name, value)
    if (body !== undefined && !request.hasHeader('Content-Length')) request.setHeader('Transfer-Encoding', 'chunked')

    const exchange = exchangeOf(request, this.socket)
    // Node waits for the end of the socket, and would for ever if that was before.
    if (this.socket.destroyed) request.destroy(hungUp())
    if (body === undefined) request.end()
    // Each ends with the other; why, the exchange tells.
    else pipeline(body, request, () => {})
    return exchange
  }
}

function exchangeOf(request: ClientRequest, socket: Duplex): RawExchange {
  const head = Promise.withResolvers<IncomingMessage>()
  let response: IncomingMessage | undefined
  const over = Promise.withResolvers<boolean>()
  head.promise.catch(() => {})
  // Node stops listening for it when the answer is complete, and a body that is not all sent by then would stand still.
  const drained = () => {
    if (request.writableNeedDrain) request.emit('drain')
  }
  request
    .on('response', (answer) => {
      response = answer.on('error', () => {})
      head.resolve(response)
      socket.on('drain', drained)
    })
    .on('error', (error) => head.reject(error))
    .once('close', () => {
      socket.off('drain', drained)
      if (response === undefined) head.reject(hungUp())
      over.resolve(response?.complete === true && request.writableFinished && request.shouldKeepAlive)
    })
  return { head: head.promise, over: over.promise }
}

/** `addRequest` is how Node asks its agents for a socket: not in its documentation, but what all of them override. */
function agentOf(socket: Duplex): Agent {
  return Object.assign(new Agent({ keepAlive: true }), {
    addRequest: (request: { onSocket(socket: Duplex): void }) => request.onSocket(socket),
  })
}

function hungUp(): Error {
  return Object.assign(new Error('The connection ended before the answer'), { code: 'ECONNRESET' })
}
