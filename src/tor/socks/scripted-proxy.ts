import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SocksProxy } from './dial.ts'

/**
 * A SOCKS proxy for tests that plays a script with each client: a line of hex is what the client must send, `>` begins what it is told (in
 * pieces, with `|` between them), `!end` hangs up.
 */
export class ScriptedProxy implements AsyncDisposable {
  readonly address: SocksProxy
  /** Resolves when the script is at its end; rejects when the client did not keep to it. */
  readonly played: Promise<void>
  /** Resolves when the client's socket is gone. */
  readonly abandoned: Promise<void>
  connections = 0
  readonly #close: () => Promise<void>

  private constructor(
    address: SocksProxy,
    played: Promise<void>,
    abandoned: Promise<void>,
    close: () => Promise<void>,
  ) {
    this.address = address
    this.played = played
    this.abandoned = abandoned
    this.#close = close
    played.catch(() => {})
  }

  static async listen(kind: 'unix' | 'tcp', script: readonly string[]): Promise<ScriptedProxy> {
    const directory = await mkdtemp(join(tmpdir(), 'socks-'))
    const path = join(directory, 's')
    const played = Promise.withResolvers<void>()
    const abandoned = Promise.withResolvers<void>()
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      proxy.connections++
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => abandoned.resolve())
      perform(socket, script).then(played.resolve, (error) => {
        socket.destroy()
        played.reject(error)
      })
    })
    server.listen(kind === 'unix' ? path : { host: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    const address = kind === 'unix' ? { path } : { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    const proxy = new ScriptedProxy(address, played.promise, abandoned.promise, async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
      await rm(directory, { recursive: true })
    })
    return proxy
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close()
  }
}

async function perform(socket: Socket, script: readonly string[]): Promise<void> {
  let received = ''
  let wake = () => {}
  socket.on('data', (chunk) => {
    received += chunk.toString('hex')
    wake()
  })
  const bare = (line: string) => line.replace(/[> ]/g, '')

  for (const line of script) {
    if (line === '!end') socket.end()
    else if (line.startsWith('>')) {
      for (const piece of line.split('|')) {
        socket.write(Buffer.from(bare(piece), 'hex'))
        await new Promise((resolve) => setImmediate(resolve))
      }
    } else {
      const expected = bare(line)
      while (received.length < expected.length && !socket.destroyed) {
        await new Promise<void>((resolve) => {
          wake = resolve
          socket.once('close', resolve)
        })
      }
      assert.equal(received.slice(0, expected.length), expected)
      received = received.slice(expected.length)
    }
  }
}
