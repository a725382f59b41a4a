import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { LoggedRequest } from '../../protocol.ts'
import { rawHeaderList } from './exchange.ts'

const KEPT_REQUESTS = 100_000

/** What the sites have seen, oldest first. */
export class RequestLog {
  readonly #entries: LoggedRequest[] = []
  readonly #connectionIds = new WeakMap<Socket, number>()
  #connections = 0

  get entries(): readonly LoggedRequest[] {
    return this.#entries
  }

  add(site: string, request: IncomingMessage): void {
    const { socket } = request
    this.#entries.push({
      site,
      method: request.method ?? '',
      host: request.headers.host ?? '',
      path: request.url ?? '',
      sourceAddress: socket.remoteAddress ?? '',
      connectionId: this.#connectionId(socket),
      rawHeaders: rawHeaderList(request),
      tls: socket instanceof TLSSocket,
      tlsSessionReused: socket instanceof TLSSocket && socket.isSessionReused(),
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
