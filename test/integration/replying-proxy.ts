import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Requests to these ports are answered with the reply that the port's last byte names: 0xF1 for 10241. */
const SCRIPTED = 10_000

/** The port that is answered with `reply`. */
export function portOf(reply: number): number {
  return SCRIPTED + reply
}

/** A SOCKS port of a Tor, in front of which somebody answers some requests by a script, and lets all others through. */
export class ReplyingProxy implements AsyncDisposable {
  readonly #server = createServer((socket) => void this.#serve(socket).catch(() => socket.destroy()))
  readonly #sockets = new Set<Socket>()
  readonly #upstream: string

  /** Both are paths of unix sockets. */
  static async listen(path: string, upstream: string): Promise<ReplyingProxy> {
    const proxy = new ReplyingProxy(upstream)
    proxy.#server.listen(path)
    await once(proxy.#server, 'listening')
    return proxy
  }

  private constructor(upstream: string) {
    this.#upstream = upstream
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  async #serve(client: Socket): Promise<void> {
    this.#keep(client)
    await read(client, 3) // greeting: user name and password
    client.write(Buffer.from([0x05, 0x02]))
    const auth = await read(client, 2)
    const user = await read(client, auth[1] ?? 0)
    const passwordLength = await read(client, 1)
    const password = await read(client, passwordLength[0] ?? 0)
    client.write(Buffer.from([0x01, 0x00]))
    const head = await read(client, 4)
    const length = head[3] === 0x03 ? await read(client, 1) : Buffer.alloc(0)
    const rest = await read(client, (head[3] === 0x01 ? 4 : head[3] === 0x04 ? 16 : (length[0] ?? 0)) + 2)
    const reply = rest.readUInt16BE(rest.length - 2) - SCRIPTED
    if (reply > 0 && reply <= 0xff) {
      client.end(Buffer.from([0x05, reply, 0x00, 0x01, 0, 0, 0, 0, 0, 0]))
      return
    }

    const tor = this.#keep(connect(this.#upstream))
    tor.write(Buffer.from([0x05, 0x01, 0x02]))
    await read(tor, 2)
    tor.write(Buffer.concat([auth, user, passwordLength, password, head, length, rest]))
    await read(tor, 2)
    client.pipe(tor).pipe(client)
  }

  /** Each ends with the other, and all with the proxy. */
  #keep(socket: Socket): Socket {
    this.#sockets.add(socket)
    return socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
  }
}

async function read(socket: Socket, count: number): Promise<Buffer> {
  if (count === 0) return Buffer.alloc(0)
  for (;;) {
    const bytes: Buffer | null = socket.read(count)
    if (bytes?.length === count) return bytes
    if (bytes !== null || socket.readableEnded || socket.destroyed) throw new Error('The connection has ended')
    await new Promise<void>((resolve) => {
      const events = ['readable', 'end', 'close'] as const
      const wake = () => {
        for (const event of events) socket.off(event, wake)
        resolve()
      }
      for (const event of events) socket.on(event, wake)
    })
  }
}
