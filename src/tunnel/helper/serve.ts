import { chownSync, mkdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { messageOf, TunnelError } from '../errors.ts'
import type { Host } from '../host.ts'
import { HostTunnels } from '../host-tunnels.ts'
import type { TunnelStatus } from '../tunnels.ts'
import { TunnelWatch } from '../watch.ts'
import { isListening } from './client.ts'
import { formatAnswer, formatFailure, MAX_REQUEST, parseRequest, type TunnelRequest } from './protocol.ts'
import { readLine } from './read-line.ts'

export interface TunnelServerOptions {
  readonly socketPath: string
  /** The state directory that has the box files in `boxes`. */
  readonly state: string
  /** The group that may use the socket as well; without one only the owner may. */
  readonly groupId?: number
  /** Leaves the tunnels up at the end. */
  readonly keep: boolean
  readonly host: Host
  readonly clock: Clock
  readonly logger: Logger
}

const REQUEST_WITHIN_MS = 5_000
const DOWN_WITHIN_MS = 10_000
const MAX_CONNECTIONS = 64
/** What fits into a sockaddr_un with its terminating zero. */
const MAX_PATH = 107

/** Does for others what needs the right to change the network, and watches over what it has made. */
export class TunnelServer implements AsyncDisposable {
  readonly #options: TunnelServerOptions
  readonly #tunnels: HostTunnels
  readonly #watch: TunnelWatch
  readonly #ended = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #sockets = new Set<Socket>()
  readonly #server: Server

  /** Listens and takes over what tunnels of ours are up. Rejects with a `TunnelError`. */
  static async start(options: TunnelServerOptions, signal: AbortSignal): Promise<TunnelServer> {
    const { socketPath, clock } = options
    if (Buffer.byteLength(socketPath) > MAX_PATH)
      throw cannotServe(socketPath, `its path is longer than ${MAX_PATH} bytes`)
    if (await isListening(socketPath, clock, signal))
      throw cannotServe(socketPath, 'another tunnel helper serves there')
    const tunnels = new HostTunnels(options)
    await tunnels.adopt(signal)
    const server = new TunnelServer(options, tunnels)
    try {
      await server.#listen()
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw cannotServe(socketPath, messageOf(error))
    }
    return server
  }

  private constructor(options: TunnelServerOptions, tunnels: HostTunnels) {
    this.#options = options
    this.#tunnels = tunnels
    this.#watch = new TunnelWatch(tunnels, options)
    this.#server = createServer((socket) => this.#onConnection(socket))
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** The name is given up last, so that a successor waits until nothing of ours is in its way. Closing removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { keep } = this.#options
    this.#ended.abort(new TunnelError('no-helper', 'The tunnel helper is ending'))
    await Promise.all(this.#running)
    await this.#watch[Symbol.asyncDispose]()
    if (!keep) await Promise.all(this.#tunnels.wanted.map((n) => this.#takeDown(n)))
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  async #listen(): Promise<void> {
    const { socketPath, groupId } = this.#options
    mkdirSync(dirname(socketPath), { recursive: true, mode: 0o755 })
    rmSync(socketPath, { force: true })
    const listening = Promise.withResolvers<void>()
    this.#server.once('listening', listening.resolve).once('error', listening.reject)
    // The socket is made with its mode, so that there is no moment in which others may use it.
    const umask = process.umask(groupId === undefined ? 0o177 : 0o117)
    try {
      this.#server.listen(socketPath)
    } finally {
      process.umask(umask)
    }
    await listening.promise
    if (groupId !== undefined) chownSync(socketPath, process.getuid?.() ?? 0, groupId)
  }

  #onConnection(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    // What is lost with a connection is told by its end.
    socket.on('error', () => {})
    const run = this.#serve(socket).finally(() => this.#running.delete(run))
    this.#running.add(run)
  }

  async #serve(socket: Socket): Promise<void> {
    const gone = new AbortController()
    socket.once('close', () => gone.abort(new Error('The client has gone')))
    // That it is read on is how its end is noticed.
    socket.resume()
    const signal = AbortSignal.any([gone.signal, this.#ended.signal])
    const answer = await this.#answer(socket, signal)
    // Who does not hang up does not hold a connection for ever.
    const linger = this.#options.clock.timer(REQUEST_WITHIN_MS, () => socket.destroy())
    socket.once('close', () => linger[Symbol.dispose]())
    if (socket.destroyed) linger[Symbol.dispose]()
    else socket.end(answer)
  }

  async #answer(socket: Socket, signal: AbortSignal): Promise<string> {
    try {
      return formatAnswer(await this.#carryOut(await this.#read(socket, signal), signal))
    } catch (error) {
      return formatFailure(error)
    }
  }

  async #read(socket: Socket, signal: AbortSignal): Promise<TunnelRequest> {
    const late = () => new TunnelError('invalid', `No request came within ${REQUEST_WITHIN_MS} ms`)
    using within = deadline(this.#options.clock, REQUEST_WITHIN_MS, signal, late)
    try {
      return parseRequest(await readLine(socket, MAX_REQUEST, within.signal))
    } catch (error) {
      throw error instanceof TunnelError
        ? error
        : new TunnelError('invalid', `Cannot read the request: ${messageOf(error)}`)
    }
  }

  async #carryOut({ verb, n }: TunnelRequest, signal: AbortSignal): Promise<TunnelStatus | undefined> {
    const { logger } = this.#options
    if (verb === 'status') return await this.#tunnels.status(n, signal)
    try {
      await this.#tunnels[verb](n, signal)
      logger.info({ tunnel: n, verb }, 'Done with a tunnel')
    } catch (err) {
      logger.error({ tunnel: n, verb }, messageOf(err))
      throw err
    }
    return undefined
  }

  async #takeDown(n: number): Promise<void> {
    const { clock, logger } = this.#options
    using within = deadline(clock, DOWN_WITHIN_MS, undefined, () => new Error(`It took more than ${DOWN_WITHIN_MS} ms`))
    try {
      await this.#tunnels.down(n, within.signal)
    } catch (error) {
      logger.error({ tunnel: n }, `Cannot take down a tunnel at the end: ${messageOf(error)}`)
    }
  }
}

function cannotServe(socketPath: string, why: string): TunnelError {
  return new TunnelError('failed', `Cannot serve tunnels at ${socketPath}: ${why}`)
}
