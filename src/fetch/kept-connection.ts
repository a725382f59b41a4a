import type { Duplex } from 'node:stream'
import type { CbtorError } from '../domain/errors.ts'
import type { WireBytes } from '../domain/exchange.ts'
import type { Exit, PathRelay, Route } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { exchangeFailure, unlessUnheardOf } from './failure.ts'
import type { WorkerStream } from './worker-source.ts'

/** Browsers take 256 KiB and more; this is room for every honest target. */
export const MAX_HEADER_BYTES = 64 * 1024

/** What a connection was made for: it serves nothing else. */
export interface ConnectionKey {
  readonly workerId: string
  /** The identity's. */
  readonly token: string
  /** Relays that its exit may not be: they are another session's, which may change while this one's stays. */
  readonly notBy: string
  /** Scheme, host and port. */
  readonly origin: string
}

export interface ConnectionOptions {
  readonly key: ConnectionKey
  /** The worker's stream, TLS over it, or what will become one of these. */
  readonly socket: Duplex
  /** How long it may be kept for its next exchange. */
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

/** One connection to one origin, to be used again when its exchange is over. What speaks HTTP on it is the subclass's. */
export abstract class KeptConnection implements Disposable {
  readonly key: ConnectionKey
  protected readonly clock: Clock
  protected readonly socket: Duplex
  /** Called when it has closed, for whoever keeps it. */
  whenClosed: (() => void) | undefined
  protected exchanges = 0
  #counted: WireBytes = { received: 0, sent: 0 }
  #stands: Standing | undefined

  constructor({ key, clock, socket }: ConnectionOptions) {
    this.key = key
    this.clock = clock
    this.socket = socket
    socket.once('close', () => {
      this.#stands?.stream.socket.destroy() // TLS may leave the stream below it open
      this.whenClosed?.()
    })
  }

  /** To be called once, when the stream is there and TLS, if any, is spoken on it. */
  stands(standing: Omit<Standing, 'at'>): void {
    this.#stands = { ...standing, at: this.clock.monotonic() }
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
    return this.exchanges > 1
  }

  /** Where the target has ended its side, nothing can be answered any more, though much can be sent. */
  get isOpen(): boolean {
    return !this.socket.destroyed && !this.socket.readableEnded
  }

  /** What to call the failure of an exchange. */
  failure(error: unknown): CbtorError {
    return unlessUnheardOf(this.standing.stream, exchangeFailure(error))
  }

  exit(waitMs: number): Promise<Exit | undefined> {
    return this.standing.stream.exit(waitMs)
  }

  path(waitMs: number): Promise<readonly PathRelay[] | undefined> {
    return this.standing.stream.path?.(waitMs) ?? Promise.resolve(undefined)
  }

  /** What its stream has carried since it was asked last, TLS and headers included. */
  takeTraffic(): WireBytes {
    const { bytesRead: received, bytesWritten: sent } = this.standing.stream.socket
    const before = this.#counted
    this.#counted = { received, sent }
    return { received: received - before.received, sent: sent - before.sent }
  }

  /** Ends the connection at once; an exchange on it fails. */
  [Symbol.dispose](): void {
    this.socket.destroy()
    this.#stands?.stream.socket.destroy()
  }
}
