import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../../../lib/clock.ts'
import type { LoggedRequest } from '../../protocol.ts'
import { rawHeaderList } from './exchange.ts'

const KEPT_REQUESTS = 100_000

/** What the sites have seen, oldest first. */
export class RequestLog {
  readonly #entries: LoggedRequest[] = []
  readonly #connectionIds = new WeakMap<Socket, number>()
  readonly #clock: Pick<Clock, 'now'>
  #connections = 0

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  get entries(): readonly LoggedRequest[] {
    return this.#entries
  }

  add(site: string, request: IncomingMessage): void {
    const { socket } = request
    const tls = socket instanceof TLSSocket ? socket : undefined
    this.#entries.push({
      site,
      method: request.method ?? '',
      host: request.headers.host ?? '',
      path: request.url ?? '',
      sourceAddress: socket.remoteAddress ?? '',
      connectionId: this.#connectionId(socket),
      rawHeaders: rawHeaderList(request),
      tls: tls !== undefined,
      tlsSessionReused: tls?.isSessionReused() ?? false,
      serverName: tls ? serverNameOf(tls) : '',
      alpn: tls?.alpnProtocol || '',
      at: this.#clock.now(),
    })
    if (this.#entries.length > KEPT_REQUESTS) this.#entries.shift()
  }

  #connectionId(socket: Socket): number {
    const known = this.#connectionIds.get(socket)
    if (known !== undefined) return known
    const id = ++this.#connections
    this.#connectionIds.set(socket, id)
    return id
  }
}

/** Of a server's socket, which has it at run time. */
function serverNameOf(socket: TLSSocket): string {
  const { servername } = socket as TLSSocket & { readonly servername?: string | false }
  return servername || ''
}
