import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * A port of the loopback interface behind which a unix socket is, as `ssh -L` and socat make them: a client of the port is taken
 * in any case, and hung up on when nobody answers on the socket.
 */
export class TcpForward implements AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number }
  readonly #path: string
  readonly #clients = new Set<Socket>()
  #server: Server

  static async to(path: string): Promise<TcpForward> {
    const server = await listen(0)
    return new TcpForward(path, server)
  }

  private constructor(path: string, server: Server) {
    this.#path = path
    this.#server = server
    this.address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    server.on('connection', (client) => this.#carry(client))
  }

  /** How many clients it has. */
  get connections(): number {
    return this.#clients.size
  }

  /** Hangs up on all clients and takes no more. */
  async cut(): Promise<void> {
    const closed = this.#server.listening && once(this.#server, 'close')
    this.#server.close()
    for (const client of this.#clients) client.destroy()
    await closed
  }

  /** Takes clients again, on the same port. */
  async mend(): Promise<void> {
    this.#server = await listen(this.address.port)
    this.#server.on('connection', (client) => this.#carry(client))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut()
  }

  #carry(client: Socket): void {
    const far = connect(this.#path)
    this.#clients.add(client)
    for (const [one, other] of [
      [client, far],
      [far, client],
    ] as const) {
      one.on('error', () => {})
      // What has come in full may still be on its way to the other side.
      one.once('close', () => (one.readableEnded ? other.end() : other.destroy()))
      one.pipe(other)
    }
    client.once('close', () => this.#clients.delete(client))
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
