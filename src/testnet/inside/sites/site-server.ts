import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../lib/clock.ts'
import { BadRequest, type Exchange, type Routes, send } from './exchange.ts'
import type { RequestLog } from './request-log.ts'
import { echoWebSocket } from './web-socket.ts'

/** Longer than any pool of a client keeps a connection, so that it is the client's choice that is seen. */
const KEEP_ALIVE_MS = 300_000

export interface SiteOptions {
  /** Names the site in the request log. */
  readonly name: string
  readonly routes: Routes
  readonly address: string
  readonly port: number
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly log: RequestLog
  readonly clock: Clock
}

/** Serves `routes` on one address and port. */
export class SiteServer implements AsyncDisposable {
  readonly #server: Server
  /** Sockets that are no longer the server's. */
  readonly #upgraded: ReadonlySet<Duplex>

  private constructor(server: Server, upgraded: ReadonlySet<Duplex>) {
    this.#server = server
    this.#upgraded = upgraded
  }

  static async listen(options: SiteOptions): Promise<SiteServer> {
    const answer = (request: IncomingMessage, response: ServerResponse) => void respond(request, response, options)
    const settings = {
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
      shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket',
    }
    const server = options.tls
      ? createHttpsServer({ ...settings, ...options.tls }, answer)
      : createHttpServer(settings, answer)
    const upgraded = new Set<Duplex>()
    server.on('upgrade', (request, socket, head) => {
      options.log.add(options.name, request)
      upgraded.add(socket)
      socket.on('close', () => upgraded.delete(socket))
      echoWebSocket(request, socket, head)
    })
    server.listen(options.port, options.address)
    await once(server, 'listening')
    return new SiteServer(server, upgraded)
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    for (const socket of this.#upgraded) socket.destroy()
    await closed
  }
}

async function respond(request: IncomingMessage, response: ServerResponse, options: SiteOptions): Promise<void> {
  const { name, routes, tls, log, clock } = options
  log.add(name, request)
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  try {
    const exchange = {
      request,
      response,
      clock,
      signal: gone.signal,
      sourceAddress: request.socket.remoteAddress ?? '',
    }
    await route({ ...exchange, url: requestUrl(request, tls ? 'https' : 'http'), captured: [] }, routes)
  } catch (error) {
    if (gone.signal.aborted) return
    if (response.headersSent) {
      response.destroy()
      return
    }
    response.statusCode = error instanceof BadRequest ? 400 : 500
    send(response, 'text/plain', `${error instanceof Error ? error.message : error}\n`)
  }
}

async function route(exchange: Exchange, routes: Routes): Promise<void> {
  for (const [path, handler] of routes) {
    const match = path.exec(exchange.url.pathname)
    if (!match) continue
    await handler({ ...exchange, captured: match.slice(1) })
    return
  }
  exchange.response.statusCode = 404
  send(exchange.response, 'text/plain', `There is no ${exchange.url.pathname} here\n`)
}

function requestUrl(request: IncomingMessage, scheme: string): URL {
  const target = request.url ?? ''
  const url = URL.parse(`${scheme}://${request.headers.host ?? 'unknown'}${target}`)
  if (!target.startsWith('/') || !url) throw new BadRequest(`Cannot answer: the request target is "${target}"`)
  return url
}
