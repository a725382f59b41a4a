import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
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
  /** The worker's stream, TLS over it, or what will become one of these. */
  readonly socket: Duplex
  /** What undici may keep it idle for, unless the target asks for less. */
  readonly keepAliveMs: number
  readonly clock: Clock
}

/** What a connection stands on, and how long it took to make. */
interface Standing {
  readonly stream: WorkerStream
  readonly connectMs: number
  readonly tlsMs: number
  /** By the monotonic clock. */
  readonly at: number
}

/**
 * One connection to one origin, with HTTP/1.1 on it and one exchange at a time. undici gets the socket once;
 * when it asks for another, it is told that the connection is gone, so it never connects by itself nor sends twice.
 */
export class Connection implements Disposable {
  readonly key: ConnectionKey
  readonly #clock: Clock
  readonly #socket: Duplex
  readonly #client: Client
  #stands: Standing | undefined
  #exchanges = 0

  constructor(options: ConnectionOptions) {
    this.key = options.key
    this.#clock = options.clock
    this.#socket = options.socket
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
    // TLS may leave the stream below it open.
    this.#socket.once('close', () => this.#stands?.stream.socket.destroy())
  }

  /** To be called once, when the stream is there and TLS, if any, is spoken on it. */
  stands(standing: Omit<Standing, 'at'>): void {
    this.#stands = { ...standing, at: this.#clock.monotonic() }
  }

  get standing(): Standing {
    if (this.#stands === undefined) throw new Error('Nobody has said that the connection stands')
    return this.#stands
  }

  get route(): Route {
    return this.standing.stream.route
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
    return unlessUnheardOf(this.standing.stream, exchangeFailure(error))
  }

  exit(waitMs: number): Promise<Exit | undefined> {
    return this.standing.stream.exit(waitMs)
  }

  /** Ends the connection at once; an exchange on it fails. */
  [Symbol.dispose](): void {
    void this.#client.destroy()
    this.#socket.destroy()
    this.#stands?.stream.socket.destroy()
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
