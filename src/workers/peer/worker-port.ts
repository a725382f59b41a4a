import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { fromJson, LineError, readLine, toLine } from '../../cluster/worker-port/lines.ts'
import { ofServer, type PortAddress, workerPortKey } from '../../cluster/worker-port/secured.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { faultFields } from '../../lib/fault-fields.ts'
import type { Logger } from '../../lib/log.ts'
import { type FirstLine, firstLine, MAX_FIRST_LINE, PROTOCOL, problemOf } from './messages.ts'
import type { OfferedWorker, WorkerOrders } from './offered-worker.ts'
import { relay } from './relay.ts'
import { stateOf, WatchedWorker } from './watched-worker.ts'

export interface WorkerPortLimits {
  /** For the handshake and the first line together. */
  readonly openWithinMs: number
  /** Connections that have not said their first line yet: of all, and of one address. */
  readonly maxOpening: number
  readonly maxOpeningOfOne: number
  readonly maxConnections: number
  /** Streams of one other replica through one worker at the same time. */
  readonly maxStreams: number
}

const LIMITS: WorkerPortLimits = {
  openWithinMs: 5_000,
  maxOpening: 1_024,
  maxOpeningOfOne: 512,
  maxConnections: 16_384,
  maxStreams: 256,
}

/** Of what was refused it is told at most so often. */
const TELL_EVERY_MS = 60_000

export interface WorkerPortOptions {
  /** Our name. Who means another replica is refused. */
  readonly replica: string
  /** The pool's, at least 32 bytes. */
  readonly secret: Buffer
  readonly clock: Clock
  readonly logger: Logger
  /** What operators ask for at other replicas; they are refused when left out. */
  readonly orders?: WorkerOrders
  readonly limits?: Partial<WorkerPortLimits>
}

/**
 * Where the other replicas of the pool reach workers of ours. Who does not have the pool's secret gets no further than the TLS
 * handshake; who has it gets streams through a worker that is offered, and nothing else: no other way leads out of here.
 */
export class WorkerPort implements AsyncDisposable {
  readonly #options: WorkerPortOptions
  readonly #limits: WorkerPortLimits
  /** Takes connections in, before anything is spent on TLS. */
  readonly #server: Server
  readonly #secured: TlsServer
  readonly #offered = new Map<string, OfferedWorker>()
  /** By what they say that their session is. */
  readonly #watches = new Map<string, WatchedWorker>()
  /** The connections, and below them what TLS goes over. */
  readonly #connections = new Map<string, Socket>()
  readonly #opening = new Map<Socket, string>()
  #refused = 0
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(options: WorkerPortOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (raw) => this.#admit(raw))
    this.#secured = createTlsServer(ofServer(workerPortKey(options.secret)))
      .on('secureConnection', (socket) => void this.#serve(socket))
      .on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
        socket.destroy()
        // One that left in the middle of it was not refused.
        if (error.code?.startsWith('ERR_SSL')) this.#refuse()
      })
  }

  /** The ids of those that are offered. */
  get offered(): readonly string[] {
    return [...this.#offered.keys()]
  }

  /** How many connections there are, of whatever kind. */
  get connections(): number {
    return this.#connections.size
  }

  /** Lets the other replicas use it, until disposed: then what they have of it ends. Its id is the same for all replicas. */
  offer(worker: OfferedWorker): Disposable {
    if (this.#offered.has(worker.id)) throw new Error(`Cannot offer worker ${worker.id} twice`)
    this.#offered.set(worker.id, worker)
    return {
      [Symbol.dispose]: () => {
        if (this.#offered.get(worker.id) !== worker) return
        this.#offered.delete(worker.id)
        for (const watch of [...this.#watches.values()]) if (watch.worker === worker) watch[Symbol.dispose]()
      },
    }
  }

  /** Resolves with the address that it has got. Rejects with `invalid_input` when it cannot be had. */
  async listen({ host, port }: PortAddress): Promise<PortAddress> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('listening', resolve).once('error', reject)
    this.#server.listen({ host, port })
    try {
      await promise
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      throw new CbtorError(
        'invalid_input',
        `Cannot open the worker port at ${host}, port ${port}: ${code ?? message}`,
        {
          cause,
        },
      )
    } finally {
      this.#server.off('listening', resolve).off('error', reject)
    }
    const bound = this.#server.address() as AddressInfo
    return { host: bound.address, port: bound.port }
  }

  /** Ends everything that others have of our workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const watch of [...this.#watches.values()]) watch[Symbol.dispose]()
    this.#offered.clear()
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    for (const raw of this.#connections.values()) raw.destroy()
    await closed.promise
  }

  #admit(raw: Socket): void {
    raw.on('error', () => {})
    const address = raw.remoteAddress ?? ''
    const { maxConnections, maxOpening, maxOpeningOfOne, openWithinMs } = this.#limits
    const ofOne = [...this.#opening.values()].filter((other) => other === address).length
    if (this.#connections.size >= maxConnections || this.#opening.size >= maxOpening || ofOne >= maxOpeningOfOne) {
      raw.destroy()
      this.#refuse()
      return
    }
    const name = nameOf(raw)
    raw.setKeepAlive(true, 30_000)
    this.#connections.set(name, raw)
    this.#opening.set(raw, address)
    const late = this.#options.clock.timer(openWithinMs, () => {
      if (!this.#opening.has(raw)) return
      raw.destroy()
      this.#refuse()
    })
    raw.once('close', () => {
      late[Symbol.dispose]()
      this.#opening.delete(raw)
      if (this.#connections.get(name) === raw) this.#connections.delete(name)
    })
    this.#secured.emit('connection', raw)
  }

  async #serve(socket: TLSSocket): Promise<void> {
    socket.on('error', () => {})
    const raw = this.#connections.get(nameOf(socket))
    if (raw === undefined) {
      socket.destroy()
      return
    }
    try {
      const opening = firstLine.safeParse(
        fromJson(await readLine(socket, MAX_FIRST_LINE, new AbortController().signal)),
      )
      if (!opening.success) throw new LineError('The first line is none of ours')
      this.#opening.delete(raw)
      await this.#begin(opening.data, socket, raw)
    } catch (error) {
      // They know the secret, and speak another language; or they are gone.
      if (!(error instanceof LineError)) this.#options.logger.error(faultFields(error), 'The worker port failed')
      const hasLeft = socket.destroyed || socket.readableEnded
      raw.destroy()
      if (!hasLeft) this.#refuse()
    }
  }

  async #begin(opening: FirstLine, socket: TLSSocket, raw: Socket): Promise<void> {
    try {
      const worker = this.#meant(opening)
      if (opening.op === 'watch') this.#watch(opening, worker, socket)
      else await this.#connect(opening, worker, socket, raw)
    } catch (error) {
      if (!(error instanceof CbtorError)) this.#options.logger.error(faultFields(error), 'A worker of ours failed')
      socket.write(toLine(problemOf(error)))
      socket.destroySoon()
    }
  }

  #meant({ v, to, worker: id }: FirstLine): OfferedWorker {
    const { replica } = this.#options
    const cannot = `Cannot connect through worker ${id}`
    if (v !== PROTOCOL)
      throw new CbtorError('worker_unreachable', `${cannot}: its replica speaks protocol ${PROTOCOL}, not ${v}`)
    if (to !== replica) throw new CbtorError('worker_unreachable', `${cannot}: there is replica ${replica}, not ${to}`)
    const worker = this.#offered.get(id)
    if (worker === undefined) throw new CbtorError('worker_unreachable', `${cannot}: its replica does not offer it`)
    return worker
  }

  #watch({ session, worker: id }: FirstLine, worker: OfferedWorker, socket: TLSSocket): void {
    if (this.#watches.has(session))
      throw new CbtorError('worker_unreachable', `Cannot watch worker ${id}: the session is not new`)
    const { clock, orders } = this.#options
    socket.write(toLine({ ok: true, state: stateOf(worker, clock) }))
    const onEnd = () => this.#watches.delete(session)
    this.#watches.set(session, new WatchedWorker({ worker, socket, clock, orders, onEnd }))
  }

  async #connect(
    { session, stream, target, identity, early, mustBeConfirmed, isCheck }: Extract<FirstLine, { op: 'connect' }>,
    worker: OfferedWorker,
    socket: TLSSocket,
    raw: Socket,
  ): Promise<void> {
    const watch = this.#watches.get(session)
    if (watch?.worker !== worker)
      throw new CbtorError('worker_unreachable', `Cannot connect through worker ${worker.id}: it is not watched`)
    if (watch.streams >= this.#limits.maxStreams)
      throw new CbtorError(
        'overloaded',
        `Cannot connect through worker ${worker.id}: it has as many streams as it takes`,
      )
    if (!watch.begin(stream, socket))
      throw new CbtorError('worker_unreachable', `Cannot connect through worker ${worker.id}: the stream is not new`)
    const left = new AbortController()
    const onClose = () => left.abort(new CbtorError('client_gone', 'The replica that asked closed its connection'))
    // The end of a stream is seen only by who looks for it. Bytes that come before our answer stay where they are.
    const look = () => socket.read(0)
    socket.on('close', onClose).on('end', onClose).on('readable', look)
    if (socket.destroyed) onClose()
    const connection = await worker
      .connect(target, identity, left.signal, {
        ...(early !== undefined && { earlyData: Buffer.from(early, 'base64') }),
        ...(mustBeConfirmed !== undefined && { mustBeConfirmed }),
        ...(isCheck !== undefined && { isCheck }),
      })
      .finally(() => socket.off('close', onClose).off('end', onClose).off('readable', look))
    const { route, isUnconfirmed } = connection
    if (socket.destroyed) {
      connection.socket.destroy()
      return
    }
    watch.tellOf(stream, connection)
    socket.write(
      toLine({ ok: true, route, hasPath: connection.path !== undefined, ...(isUnconfirmed && { isUnconfirmed }) }),
    )
    relay(socket, connection.socket, () => raw.resetAndDestroy())
  }

  #refuse(): void {
    this.#refused++
    const { clock, logger } = this.#options
    if (clock.monotonic() - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = clock.monotonic()
    logger.warn(
      { connections: this.#refused },
      'The worker port refused connections: of a program that is no replica, or of one with another secret',
    )
    this.#refused = 0
  }
}

/** What a connection and the TLS on it have in common. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
