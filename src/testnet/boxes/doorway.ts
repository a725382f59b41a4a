import { connect, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

/**
 * Lets clients in from another network namespace: a server that was made there, whose connections are carried on to an
 * address of this one. Until `open()` they are closed at once.
 */
export class Doorway implements Disposable {
  readonly #server: Server
  readonly #clients = new Set<Socket>()
  #target: { readonly host: string; readonly port: number } | undefined

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (client) => void this.#carry(client))
  }

  open(host: string, port: number): void {
    this.#target = { host, port }
  }

  [Symbol.dispose](): void {
    this.#server.close()
    for (const client of this.#clients) client.destroy()
  }

  async #carry(client: Socket): Promise<void> {
    if (this.#target === undefined) {
      client.destroy()
      return
    }
    this.#clients.add(client)
    client.setNoDelay()
    const { host, port } = this.#target
    try {
      await pipeline(client, connect({ host, port, noDelay: true, allowHalfOpen: true }), client)
    } catch {
      // It broke off on one side, and so it has on the other.
    } finally {
      this.#clients.delete(client)
    }
  }
}
