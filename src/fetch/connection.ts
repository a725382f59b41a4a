import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Client } from 'undici'
import { Exchange, type WireRequest } from './exchange.ts'
import { type ConnectionOptions, KeptConnection, MAX_HEADER_BYTES } from './kept-connection.ts'

/**
 * Speaks HTTP/1.1 for fetches, one exchange at a time. undici gets the socket once; when it asks for another, it is told that
 * the connection is gone, so it never connects by itself nor sends twice.
 */
export class Connection extends KeptConnection {
  readonly #client: Client

  constructor(options: ConnectionOptions) {
    super(options)
    let socket: Duplex | undefined = options.socket
    this.#client = new Client(options.key.origin, {
      connect: (_options, callback) => {
        const handed = socket
        socket = undefined
        // Not at once: undici is not ready for its answer while it asks.
        queueMicrotask(() => (handed ? callback(null, asSocket(handed)) : callback(connectionGone(), null)))
      },
      allowH2: false,
      pipelining: 1,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The deadlines are the caller's.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: options.keepAliveMs,
    })
  }

  override get isOpen(): boolean {
    return super.isOpen && !this.#client.closed && !this.#client.destroyed
  }

  /** `onReceived` is called whenever something of the answer has come. */
  send(request: WireRequest, onReceived: () => void): Exchange {
    this.exchanges++
    const exchange = new Exchange(this.clock, onReceived)
    this.#client.dispatch(
      {
        path: request.path,
        method: request.method,
        headers: request.headers.flat(),
        body: request.body ?? null,
      },
      exchange,
    )
    return exchange
  }

  override [Symbol.dispose](): void {
    void this.#client.destroy()
    super[Symbol.dispose]()
  }
}

/** undici uses no more of a socket than any stream has. */
function asSocket(stream: Duplex): Socket {
  return stream as Socket
}

/** With a code of the system and not of undici, which would take its own for a reason to connect again. */
function connectionGone(): Error {
  return Object.assign(new Error('The connection is gone'), { code: 'ECONNRESET' })
}
