import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { ProblemCode } from '../../domain/problems.ts'
import { ClientBytes } from '../client-bytes.ts'
import { endGently } from '../end-gently.ts'
import type { Port, PortOptions, Served } from '../port.ts'
import { ClientConnection } from './client-connection.ts'
import { serveConnect } from './connect.ts'
import { serveExchange } from './exchange.ts'
import { headerList } from './headers.ts'
import { type ConnectRequest, plainConnect } from './plain-connect.ts'
import { writeProblem } from './problem-answer.ts'

/** Cookies of long-lived sites alone may take 16 KiB. */
const MAX_HEADER_BYTES = 32 * 1024

/** Of Node's parser. */
const CODE_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['request_headers_too_large', 'its headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['payload_too_large', 'its chunk extensions are too large'],
}

/** An HTTP proxy: CONNECT, and requests for http URLs in absolute form. Uses Node's parser for all but a plain CONNECT, and none of its timeouts. */
export class HttpPort implements Port {
  readonly #options: PortOptions
  readonly #server: Server
  readonly #connections = new WeakMap<Socket, ClientConnection>()

  constructor(options: PortOptions) {
    this.#options = options
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      requireHostHeader: false, // the target names the host
      keepAliveTimeout: 0,
    })
    this.#server.maxHeadersCount = 0 // of more than that Node drops some in silence; here there are limits that tell
    // A client may end its side behind its last request. (Not in Node's documentation, but for long in its server.)
    Object.assign(this.#server, { httpAllowHalfOpen: true })
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response)
    this.#server
      .on('request', onRequest)
      .on('checkContinue', onRequest)
      .on('checkExpectation', onRequest)
      .on('connect', ({ url: authority = '', rawHeaders }: IncomingMessage, socket: Socket, head: Buffer) =>
        this.#onConnect({ authority, headers: headerList(rawHeaders) }, socket, head),
      )
      .on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#onClientError(error, socket))
  }

  serve(client: Socket): Served {
    const connection = new ClientConnection(client, this.#options, () =>
      this.#break(client, 'request_timeout', 'it did not arrive in time'),
    )
    this.#connections.set(client, connection)
    const onEnd = () => client.end()
    client.once('end', onEnd).once('data', (first: Buffer) => {
      client.off('end', onEnd)
      const connect = plainConnect(first)
      if (connect !== undefined) this.#onConnect(connect, client, connect.rest)
      else this.#parse(client, first)
    })
    return connection
  }

  /** Leaves a connection to Node's parser, with what has come of it. */
  #parse(client: Socket, first: Buffer): void {
    client.pause()
    client.unshift(first)
    this.#server.emit('connection', client)
    client.resume()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket)
    connection?.take(request, response, (stop) => serveExchange(this.#options, { request, response, connection, stop }))
  }

  #onConnect(request: ConnectRequest, socket: Socket, head: Buffer): void {
    const bytes = new ClientBytes(socket, head)
    this.#connections.get(socket)?.handOver(() => serveConnect(this.#options, request, socket, bytes))
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const [code, reason] = CODE_OF[error.code ?? ''] ?? (['http_invalid', 'it is not valid HTTP'] as const)
    this.#break(socket, code, reason)
  }

  /** Ends a connection on which there is nothing to be understood any more, and says why. */
  #break(socket: Socket, code: ProblemCode, reason: string): void {
    const problem = new CbtorError(code, `Cannot read the request: ${reason}`)
    this.#connections.get(socket)?.break(problem, () => {
      writeProblem(socket, problem, this.#options.random)
      endGently(socket, this.#options.clock)
    })
  }
}
