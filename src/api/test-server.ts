import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { FakeClock } from '../lib/fake-clock.ts'
import { systemRandom } from '../lib/random.ts'
import type { TcpAddress } from '../listen/address.ts'
import { FakeBackend } from './fake-backend.ts'
import { FakeKeys } from './fake-keys.ts'
import { type ApiServerOptions, createApiServer } from './server.ts'
import { MemoryLogger } from './test-app.ts'

/** A server on a free port, and raw connections to it. */
export async function startServer(options: Partial<ApiServerOptions> & { readonly host?: string } = {}) {
  const { host = '127.0.0.1', ...more } = options
  const backend = new FakeBackend()
  const keys = new FakeKeys()
  const clock = new FakeClock()
  const logger = new MemoryLogger()
  const server = await createApiServer({ backend, keys, auth: 'off', logger, clock, random: systemRandom, ...more })
  const { address, url } = await server.listen({ host, port: 0 })
  const { port } = address as TcpAddress
  const sockets: Socket[] = []
  return {
    backend,
    keys,
    clock,
    logger,
    server,
    url,
    port,
    async dial(): Promise<Socket> {
      const socket = connect(port, host).setEncoding('latin1')
      socket.on('error', () => {})
      sockets.push(socket)
      await once(socket, 'connect')
      return socket
    },
    /** Resolves once the server listens no more. */
    async refusesConnections(): Promise<void> {
      for (;;) {
        const socket = connect(port, host)
        try {
          await once(socket, 'connect')
        } catch {
          return
        } finally {
          socket.destroy()
        }
      }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await server.close()
    },
  }
}

/** Resolves once `text` has come in, with everything up to then. */
export async function read(socket: Socket, text: string | RegExp): Promise<string> {
  let received = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    received += chunk
    if (typeof text === 'string' ? received.includes(text) : text.test(received)) return received
  }
  return received
}

export function post(port: number, path: string, body: object): string {
  const text = JSON.stringify(body)
  const length = Buffer.byteLength(text)
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${text}`
}
