import type { Socket } from 'node:net'
import { Client } from 'undici'
import type { CbtorError } from '../domain/errors.ts'
import type { Exit, Route } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { Exchange, type WireRequest } from './exchange.ts'
import { exchangeFailure, unlessUnheardOf } from './failure.ts'
import type { WorkerStream } from './worker-source.ts'

/** Browsers take 256 KiB and more; this is room for every honest target. */
const MAX_HEADER_BYTES = 64 * 1024

/** What a connection was made for: it serves nothing else. */
export interface ConnectionKey {
  readonly workerId: string
  /** The identity's. */
  readonly token: string
  /** Scheme, host and port. */
  readonly origin: string
}

export interface ConnectionOptions {
  readonly key: ConnectionKey
  readonly stream: WorkerStream
  /** The stream's own, or TLS over it. */
  readonly socket: Socket
  /** What undici may keep it idle for, unless the target asks for less. */
  readonly keepAliveMs: number
  readonly clock: Clock
  readonly connectMs: number
  readonly tlsMs: number
}

/**
 * One connection to one origin, with HTTP/1.1 on it and one exchange at a time. undici gets the connected socket once;
 * when it asks for another, it is told that the connection is gone, so it never connects by itself nor sends twice.
 */
export class Connection implements Disposable {
  readonly key: ConnectionKey
  readonly route: Route
  readonly connectMs: number
  readonly tlsMs: number
  readonly #clock: Clock
  readonly #stream: WorkerStream
  readonly #socket: Socket
  readonly #client: Client
  #exchanges = 0

  constructor(options: ConnectionOptions) {
    this.key = options.key
    this.route = options.stream.route
    this.connectMs = options.connectMs
    this.tlsMs = options.tlsMs
    this.#clock = options.clock
    this.#stream = options.stream
    this.#socket = options.socket
    let socket: Socket | undefined = options.socket
    this.#client = new Client(options.key.origin, {
      connect: (_options, callback) => {
        const handed = socket
        socket = undefined
        // Not at once: undici is not ready for its answer while it asks.
        queueMicrotask(() => (handed ? callback(null, handed) : callback(connectionGone(), null)))
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
    // TLS may leave the stream below it open.
    this.#socket.once('close', () => this.#stream.socket.destroy())
  }

  /** Whether an exchange went before the one that runs or will run. */
  get isReused(): boolean {
    return this.#exchanges > 1
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#client.closed && !this.#client.destroyed
  }

  onClose(listener: () => void): Disposable {
    this.#socket.once('close', listener)
    return { [Symbol.dispose]: () => this.#socket.off('close', listener) }
  }

  /** `onReceived` is called whenever something of the answer has come. */
  send(request: WireRequest, onReceived: () => void): Exchange {
    this.#exchanges++
    const exchange = new Exchange(this.#clock, onReceived)
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

  /** What to call the failure of an exchange. */
  failure(error: unknown): CbtorError {
    return unlessUnheardOf(this.#stream, exchangeFailure(error))
  }

  exit(waitMs: number): Promise<Exit | undefined> {
    return this.#stream.exit(waitMs)
  }

  /** Ends the connection at once; an exchange on it fails. */
  [Symbol.dispose](): void {
    void this.#client.destroy()
    this.#socket.destroy()
    this.#stream.socket.destroy()
  }
}

/** With a code of the system and not of undici, which would take its own for a reason to connect again. */
function connectionGone(): Error {
  return Object.assign(new Error('The connection is gone'), { code: 'ECONNRESET' })
}
