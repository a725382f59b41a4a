import type { Duplex } from 'node:stream'
import { CbtorError } from '../domain/errors.ts'
import type { WireBytes } from '../domain/exchange.ts'
import type { Identity } from '../domain/identity.ts'
import type { Target } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { EarlyStream } from './early-stream.ts'
import { unlessUnheardOf } from './failure.ts'
import type { ConnectionKey, ConnectionOptions, KeptConnection } from './kept-connection.ts'
import type { Handshake } from './tls.ts'
import type { Lease, WorkerStream } from './worker-source.ts'

export interface ConnectionsOptions<C> {
  readonly clock: Clock
  readonly handshake: Handshake
  /** What speaks HTTP over a stream. */
  create(options: ConnectionOptions): C
  /** How long a connection waits for its next request. */
  readonly idleMs?: number
  /** How many wait, over all workers and identities. */
  readonly maxIdle?: number
}

export interface ConnectionCounts {
  readonly busy: number
  readonly idle: number
}

/** Where a request goes and as whom. */
export interface Destination {
  readonly url: URL
  readonly target: Target
  readonly identity: Identity
}

export interface OpenOptions<C> {
  /** Called once the stream stands: what goes wrong later is between the target and us. */
  onStream(): void
  /** Told what the stream has carried when it stood, but no connection came of it. */
  onLost?(carried: WireBytes): void
  /**
   * Sends the first request, when that is safe to do twice, although the connection does not stand yet. It gets an answer only
   * if the connection comes to stand.
   */
  readonly sendEarly?: ((connection: C) => void) | undefined
}

/**
 * Opens connections and keeps idle ones for requests with the same worker, identity and origin: never for another
 * identity, for that would tell the target that the two are one.
 */
export class Connections<C extends KeptConnection> implements Disposable {
  readonly #clock: Clock
  readonly #handshake: Handshake
  readonly #createOver: (options: ConnectionOptions) => C
  readonly #idleMs: number
  readonly #maxIdle: number
  /** Those that wait, longest first, each with the timer that ends its waiting. */
  readonly #idle = new Map<C, Disposable>()
  /** Those that are in use. */
  readonly #busy = new Set<C>()

  constructor(options: ConnectionsOptions<C>) {
    this.#clock = options.clock
    this.#handshake = options.handshake
    this.#createOver = options.create
    this.#idleMs = options.idleMs ?? 30_000
    this.#maxIdle = options.maxIdle ?? 256
  }

  get counts(): ConnectionCounts {
    return { busy: this.#busy.size, idle: this.#idle.size }
  }

  /**
   * Rejects with the fault of `lease.connect` or of the handshake, or with the signal's reason. The first bytes go ahead, with the
   * request for the stream: those of the TLS handshake and, without TLS, what `sendEarly` sends.
   */
  async open(lease: Lease, to: Destination, options: OpenOptions<C>, signal: AbortSignal): Promise<C> {
    const { onStream, onLost, sendEarly } = options
    const isSecure = to.url.protocol === 'https:'
    const early = isSecure || sendEarly !== undefined ? new EarlyStream() : undefined
    const securing = isSecure && early ? this.#handshake(early, to.target.host, signal) : undefined
    securing?.catch(() => {})
    let connection: C | undefined
    let stream: WorkerStream | undefined
    if (!isSecure && early) {
      connection = this.#create(lease, to, early)
      sendEarly?.(connection)
    }

    const startedAt = this.#clock.monotonic()
    try {
      const earlyData = early && (await early.takeFirst())
      stream = await lease.connect(to.target, to.identity, signal, earlyData && { earlyData })
      // Until undici listens, a failing stream must not end the process; it shows in the first exchange.
      stream.socket.on('error', () => {})
      onStream()
      early?.join(stream.socket)
      const connectMs = this.#clock.monotonic() - startedAt
      const socket = securing ? await secured(securing, stream) : stream.socket
      connection ??= this.#create(lease, to, socket)
      connection.stands({ stream, connectMs, tlsMs: this.#clock.monotonic() - startedAt - connectMs })
      this.#busy.add(connection)
      return connection
    } catch (error) {
      early?.destroy()
      connection?.[Symbol.dispose]()
      if (stream) onLost?.({ received: stream.socket.bytesRead, sent: stream.socket.bytesWritten })
      throw error
    }
  }

  /** The connection used last of those that wait for just this, if there is one. */
  takeIdle(workerId: string, to: Destination): C | undefined {
    const key = keyOf(workerId, to)
    let connection: C | undefined
    for (const waiting of this.#idle.keys()) if (waiting.isOpen && isSameKey(waiting.key, key)) connection = waiting
    if (connection === undefined) return undefined
    this.#stopWaiting(connection)
    this.#busy.add(connection)
    return connection
  }

  /** Takes a connection back after a whole exchange. It waits for the next one when it can, and ends otherwise. */
  release(connection: C, identity: Identity): void {
    const wasWanted = this.#busy.delete(connection)
    if (!wasWanted || !connection.isOpen || identity.isOneOff) {
      connection[Symbol.dispose]()
      return
    }

    connection.whenClosed = () => this.#stopWaiting(connection)
    this.#idle.set(
      connection,
      this.#clock.timer(this.#idleMs, () => this.#end(connection)),
    )
    const [longest] = this.#idle.keys()
    if (this.#idle.size > this.#maxIdle && longest !== undefined) this.#end(longest)
  }

  /** Ends a connection whose exchange failed. */
  discard(connection: C): void {
    this.#busy.delete(connection)
    connection[Symbol.dispose]()
  }

  /** Ends the worker's idle connections; those in use end after their exchange. For when its circuits are renewed. */
  dropWorker(workerId: string): void {
    this.#drop((key) => key.workerId === workerId)
  }

  /** The same with the connections of one identity. For when it is renewed. */
  dropIdentity(token: string): void {
    this.#drop((key) => key.token === token)
  }

  [Symbol.dispose](): void {
    for (const connection of [...this.#idle.keys()]) this.#end(connection)
    for (const connection of this.#busy) this.discard(connection)
  }

  #create(lease: Lease, to: Destination, socket: Duplex): C {
    socket.on('error', () => {})
    const key = keyOf(lease.worker.id, to)
    return this.#createOver({ key, socket, clock: this.#clock, keepAliveMs: this.#idleMs })
  }

  #drop(isMeant: (key: ConnectionKey) => boolean): void {
    for (const connection of [...this.#idle.keys()]) if (isMeant(connection.key)) this.#end(connection)
    for (const connection of this.#busy) if (isMeant(connection.key)) this.#busy.delete(connection)
  }

  #end(connection: C): void {
    this.#stopWaiting(connection)
    connection[Symbol.dispose]()
  }

  #stopWaiting(connection: C): void {
    this.#idle.get(connection)?.[Symbol.dispose]()
    this.#idle.delete(connection)
    connection.whenClosed = undefined
  }
}

/** `securing`: the handshake over `stream`. */
async function secured(securing: Promise<Duplex>, stream: WorkerStream): Promise<Duplex> {
  try {
    return await securing
  } catch (error) {
    stream.socket.destroy()
    throw error instanceof CbtorError ? unlessUnheardOf(stream, error) : error
  }
}

function keyOf(workerId: string, to: Destination): ConnectionKey {
  const { token, exit } = to.identity
  return { workerId, token, notBy: exit?.notBy.join() ?? '', origin: to.url.origin }
}

function isSameKey(a: ConnectionKey, b: ConnectionKey): boolean {
  const isSameIdentity = a.token === b.token && a.notBy === b.notBy
  return a.workerId === b.workerId && isSameIdentity && a.origin === b.origin
}
