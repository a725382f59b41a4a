import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { TcpAddress } from '../listen/address.ts'
import { TestCertificate } from '../listen/test-certificate.ts'
import type { ServerTls } from '../listen/tls.ts'
import { okAnswer } from './fake-backend.ts'
import { Client, startPort, turn } from './test-lab.ts'

const GET = 'GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\n\r\n'
const CONNECT = 'CONNECT example.com:443 HTTP/1.1\r\n\r\n'
const SOCKS = '\x05\x01\x00\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50'
const SOCKS_OK = '\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00'

/** A port for both protocols in TLS, beside the plain one of the lab. */
async function startSecured(tls: ServerTls, ca: string) {
  const lab = await startPort('any')
  const { port } = (await lab.listener.listen('any', { host: '127.0.0.1', port: 0 }, tls)) as TcpAddress
  const clients: Client[] = []
  return {
    ...lab,
    port,
    async dial(trusted = ca): Promise<Client> {
      const socket = connectTls({
        socket: connect({ port, host: '127.0.0.1', allowHalfOpen: true }),
        ca: trusted,
        servername: 'localhost',
      })
      const client = new Client(socket)
      clients.push(client)
      await once(socket, 'secureConnect')
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of clients) socket.destroy()
      await lab[Symbol.asyncDispose]()
    },
  }
}

describe('a port of the proxy in TLS', { timeout: 20_000 }, () => {
  it('speaks with every client as a plain one does', async () => {
    using files = new TestCertificate()
    await using port = await startSecured(await files.tls(), files.pem)
    const cases = [
      [GET, /^HTTP\/1\.1 200 OK[\s\S]*hello/],
      [GET + GET, /hello[\s\S]*hello/],
      [CONNECT, /^HTTP\/1\.1 200 Connection established\r\n\r\n/],
      [SOCKS, new RegExp(SOCKS_OK)],
    ] as const
    for (const [bytes, answer] of cases) {
      const client = await port.dial()
      client.send(bytes)
      assert.match(await client.reads(answer), answer)
      client.socket.destroy()
    }
    const tunnel = await port.dial()
    tunnel.send(CONNECT)
    await tunnel.reads('established\r\n\r\n')
    for (let count = 0; count < 2; count++) (await port.backend.target()).destroy() // those of the tunnels before
    const target = new Client(await port.backend.target())
    tunnel.send('x'.repeat(200_000))
    await target.reads(200_000)
    target.send('y'.repeat(200_000))
    await tunnel.reads(200_000)
    target.socket.end('done')
    assert.match(await tunnel.readsAll(), /done$/)
    assert.equal(await tunnel.closed, 'end')
    tunnel.socket.end()
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('lets the answer come to a client that has ended its side', async () => {
    using files = new TestCertificate()
    await using port = await startSecured(await files.tls(), files.pem)
    const tunnel = await port.dial()
    tunnel.send(CONNECT)
    await tunnel.reads('established\r\n\r\n')
    const target = new Client(await port.backend.target())
    tunnel.socket.end('question')
    await target.reads('question')
    target.socket.end('answer')
    assert.match(await tunnel.readsAll(), /answer$/)
    assert.equal(await tunnel.closed, 'end')
    await port.isQuiet()
  })

  it('resets what breaks, as a plain one does', async () => {
    using files = new TestCertificate()
    await using port = await startSecured(await files.tls(), files.pem)
    const tunnel = await port.dial()
    tunnel.send(CONNECT)
    await tunnel.reads('established\r\n\r\n')
    const target = await port.backend.target()
    target.resume().write('part')
    await tunnel.reads('part')
    target.resetAndDestroy()
    assert.equal(await tunnel.closed, 'reset')

    async function* broken() {
      yield Buffer.from('part')
      throw new Error('lost')
    }
    port.backend.answer = async () => okAnswer(Readable.from(broken()), [['Content-Length', '100']])
    const client = await port.dial()
    client.send(GET)
    assert.equal(await client.closed, 'reset')
    await port.isQuiet()
  })

  it('lets nobody wait for a handshake that does not come, and lets go of those who are no clients', async () => {
    using files = new TestCertificate()
    await using port = await startSecured(await files.tls(), files.pem)
    const plain = new Client(connect(port.port, '127.0.0.1'))
    plain.send(GET)
    await plain.closed
    const silent = new Client(connect(port.port, '127.0.0.1'))
    await once(silent.socket, 'connect')
    assert.equal(port.listener.connections, 0)
    const closed = port.listener[Symbol.asyncDispose]()
    await turn()
    await port.clock.advance(5_000)
    await closed
    assert.equal(await silent.closed, 'reset')
  })

  it('shows another certificate to new clients without a word to those that are there', async () => {
    using files = new TestCertificate()
    const changes: ((context: ServerTls['context']) => void)[] = []
    const { context } = await files.tls()
    const first = files.pem
    await using port = await startSecured({ context, onChange: (listener) => changes.push(listener) }, first)
    const tunnel = await port.dial()
    tunnel.send(CONNECT)
    await tunnel.reads('established\r\n\r\n')
    const target = new Client(await port.backend.target())
    files.renew()
    const renewed = await files.tls()
    for (const change of changes) change(renewed.context)
    const next = await port.dial(files.pem)
    next.send(GET)
    await next.reads('hello')
    await assert.rejects(port.dial(first))
    tunnel.send('still here')
    await target.reads('still here')
  })
})

describe('a port of the proxy on a unix socket', { timeout: 20_000 }, () => {
  it('serves its owner, and cuts off what breaks', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-proxy-'))
    try {
      await using port = await startPort('any')
      const path = join(directory, 'proxy.sock')
      await port.listener.listen('any', { path })
      assert.equal(statSync(path).mode & 0o777, 0o600)
      for (const [bytes, answer] of [
        [GET, 'hello'],
        [SOCKS, SOCKS_OK],
      ] as const) {
        const client = new Client(connect({ path }))
        client.send(bytes)
        await client.reads(answer)
        client.socket.destroy()
      }
      const tunnel = new Client(connect({ path }))
      tunnel.send(CONNECT)
      await tunnel.reads('established\r\n\r\n')
      ;(await port.backend.target()).destroy()
      ;(await port.backend.target()).resetAndDestroy()
      await tunnel.closed
      await port.isQuiet()
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
