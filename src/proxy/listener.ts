import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { CbtorError } from '../domain/errors.ts'
import { type ListenAddress, showListenAddress, staysOnMachine } from '../listen/address.ts'
import { shareByAddress } from '../listen/address-share.ts'
import { bind } from '../listen/bind.ts'
import { type ServerTls, TLS_HANDSHAKE_MS } from '../listen/tls.ts'
import { cutOff, liesUpon } from './cut-off.ts'
import { HttpPort } from './http/http-port.ts'
import type { Port, PortLimits, PortOptions, Served } from './port.ts'
import { SocksPort } from './socks/socks-port.ts'
import { TellApart } from './tell-apart.ts'
import { DEFAULT_TUNNEL_LIMITS } from './tunnel.ts'

/** What a port speaks. `any` tells SOCKS from HTTP by the first byte. */
export type ProxyProtocol = 'http' | 'socks' | 'any'

export interface ProxyListenerOptions extends Omit<PortOptions, 'limits'> {
  readonly limits?: Partial<PortLimits>
  /** Connections of one port at the same time; further ones are closed at once. Default 8192. */
  readonly maxConnections?: number
  /** How long what is under way may go on once the listener is being closed. Default 5 s. */
  readonly drainMs?: number
}

const DEFAULT_LIMITS: PortLimits = { ...DEFAULT_TUNNEL_LIMITS, handshakeMs: 10_000, openMs: 150_000 }

/** The proxy ports that listen. Disposing it closes all of them. */
export class ProxyListener implements AsyncDisposable {
  readonly #options: ProxyListenerOptions
  /** Those of all ports. */
  readonly #limits: { -readonly [K in keyof PortLimits]: PortLimits[K] }
  readonly #http: Port
  readonly #socks: Port
  readonly #servers: Server[] = []
  readonly #any: Port
  readonly #clients = new Map<Socket, Served | undefined>()
  /** Connections below TLS, also those that have not shaken hands yet. */
  readonly #raw = new Set<Socket>()
  /** Told when a client has gone. */
  #onGone = () => {}
  #isClosing = false

  constructor(options: ProxyListenerOptions) {
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    const port: PortOptions = { ...options, limits: this.#limits }
    this.#options = options
    this.#http = new HttpPort(port)
    this.#socks = new SocksPort(port)
    this.#any = new TellApart(port, { http: this.#http, socks: this.#socks })
  }

  /** For tunnels that come to stand from now on. */
  reconfigure(limits: Partial<PortLimits>): void {
    Object.assign(this.#limits, limits)
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#clients.size
  }

  /**
   * Resolves with the address that is listened on. `tls`: what clients speak with us in; plain when left out. Rejects with
   * `invalid_input` when the address cannot be had, or when others can reach it and no password is asked for: that would be a proxy
   * for everybody.
   */
  async listen(protocol: ProxyProtocol, address: ListenAddress, tls?: ServerTls): Promise<ListenAddress> {
    if (!this.#options.backend.requiresPassword && !staysOnMachine(address)) {
      const reason = 'without a password a proxy answers on loopback or a unix socket only'
      throw new CbtorError('invalid_input', `Cannot listen on ${showListenAddress(address)}: ${reason}`)
    }
    const server = this.#createServer(tls, (client) => this.#serve(protocol, client))
    server.maxConnections = this.#options.maxConnections ?? 8_192
    if (tls !== undefined) shareByAddress(server)
    const bound = await bind(server, address)
    this.#servers.push(server)
    const { logger } = this.#options
    server.on('error', (error: NodeJS.ErrnoException) =>
      logger.warn({ port: protocol, error: error.code }, 'proxy port failed'),
    )
    server.on('drop', () => logger.debug({ port: protocol }, 'proxy client turned away: too many connections'))
    return bound
  }

  #createServer(tls: ServerTls | undefined, serve: (client: Socket) => void): Server {
    const options = { allowHalfOpen: true, noDelay: true }
    if (tls === undefined) return createServer(options, serve)
    const server = createTlsServer({ ...options, ...tls.context, handshakeTimeout: TLS_HANDSHAKE_MS })
    tls.onChange((context) => server.setSecureContext(context))
    const byPeer = new Map<string, Socket>()
    server.on('connection', (raw: Socket) => {
      const peer = peerOf(raw)
      byPeer.set(peer, raw)
      this.#raw.add(raw)
      raw.once('close', () => {
        this.#raw.delete(raw)
        if (byPeer.get(peer) === raw) byPeer.delete(peer)
      })
    })
    server.on('secureConnection', (client) => {
      const raw = byPeer.get(peerOf(client))
      if (raw !== undefined) liesUpon(client, raw)
      serve(client)
    })
    server.on('tlsClientError', (_error, client) => client.destroy())
    return server
  }

  #serve(protocol: ProxyProtocol, client: Socket): void {
    this.#clients.set(client, undefined)
    client.once('close', () => {
      this.#clients.delete(client)
      this.#onGone()
    })
    client.on('error', () => {})
    const port = { http: this.#http, socks: this.#socks, any: this.#any }[protocol]
    const served = port.serve(client)
    if (this.#clients.has(client)) this.#clients.set(client, served)
    if (this.#isClosing) served.drain()
  }

  /** Takes no new clients, lets what is under way go on for a while, and then cuts it off. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    const { clock, drainMs = 5_000 } = this.#options
    // A server counts a client as gone before its socket says so.
    const gone = Promise.withResolvers<void>()
    this.#onGone = () => {
      if (this.#clients.size === 0) gone.resolve()
    }
    this.#onGone()
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const served of this.#clients.values()) served?.drain()
    using _cut = clock.timer(drainMs, () => {
      for (const client of this.#clients.keys()) cutOff(client)
      for (const raw of this.#raw) cutOff(raw)
    })
    await Promise.all([gone.promise, ...closed])
  }
}

/** No two connections of one port have the same. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
