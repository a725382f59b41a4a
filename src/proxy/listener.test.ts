import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemRandom } from '../lib/random.ts'
import { showListenAddress } from '../listen/address.ts'
import { untilAborted } from './fake-backend.ts'
import { ProxyListener } from './listener.ts'
import { Client, startPort, turn } from './test-lab.ts'

const GET = 'GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\n\r\n'
const CONNECT = 'CONNECT example.com:443 HTTP/1.1\r\n\r\n'
const SOCKS = '\x05\x01\x00\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50'
const SOCKS_OK = '\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00'

describe('one port for both protocols', { timeout: 20_000 }, () => {
  it('tells them apart by the first byte', async () => {
    await using port = await startPort('any')
    const cases = [
      [GET, /^HTTP\/1\.1 200 OK[\s\S]*hello/],
      [CONNECT, /^HTTP\/1\.1 200 Connection established\r\n\r\n/],
      [SOCKS, new RegExp(SOCKS_OK)],
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a reply of SOCKS4
      ['\x04\x01\x00\x50\x01\x02\x03\x04\x00', /^\x00\x5b\x00{6}$/],
      ['\x16\x03\x01', /^HTTP\/1\.1 400 /],
    ] as const
    for (const [bytes, answer] of cases) {
      const client = await port.dial()
      client.send(bytes)
      assert.match(await client.reads(answer), answer)
      client.socket.resetAndDestroy()
    }
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('does so however the bytes are split', async () => {
    await using port = await startPort('any')
    const cases = [
      [GET, 'hello'],
      [`POST http://example.com/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc`, 'hello'],
      [CONNECT, 'established\r\n\r\n'],
      [SOCKS, SOCKS_OK],
    ] as const
    for (const [bytes, answer] of cases) {
      for (let at = 1; at < bytes.length; at++) {
        const client = await port.dial()
        client.send(bytes.slice(0, at))
        await turn()
        await turn()
        client.send(bytes.slice(at))
        await client.reads(answer)
        client.socket.resetAndDestroy()
      }
      const byByte = await port.dial()
      for (const byte of bytes) {
        byByte.send(byte)
        await turn()
      }
      await byByte.reads(answer)
      byByte.socket.resetAndDestroy()
    }
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('gives ten seconds for the first byte, and lets go of who leaves before it', async () => {
    await using port = await startPort('any')
    const silent = await port.dial()
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const leaving = await port.dial()
      leaving.socket[leave]()
      await leaving.closed
    }
    while (port.listener.connections !== 1) await turn()
    await port.clock.advance(10_000)
    assert.equal(await silent.readsAll(), '')
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })
})

describe('ProxyListener', { timeout: 20_000 }, () => {
  it('listens on loopback only, unless a password is asked for', async () => {
    await using port = await startPort('http')
    const { listener, backend } = port
    for (const host of ['0.0.0.0', '::', '192.0.2.1', '', 'example.com', '::1%lo'])
      await assert.rejects(
        listener.listen('http', { host, port: 0 }),
        { code: 'invalid_input', message: /loopback/ },
        host,
      )
    backend.password = 'pw'
    assert.match(showListenAddress(await listener.listen('socks', { host: '0.0.0.0', port: 0 })), /^0\.0\.0\.0:\d+$/)
  })

  it('says so when the port is taken', async () => {
    await using port = await startPort('http')
    const { backend, clock, logger } = port
    await using second = new ProxyListener({ backend, clock, logger, random: systemRandom })
    await assert.rejects(second.listen('http', { host: '127.0.0.1', port: port.port }), {
      code: 'invalid_input',
      message: /EADDRINUSE/,
    })
  })

  it('turns away clients beyond its limit, and takes others when some have gone', async () => {
    await using port = await startPort('http', { maxConnections: 2 })
    const [first, second] = [await port.dial(), await port.dial()]
    while (port.listener.connections < 2) await turn()
    const third = await port.dial()
    await third.closed
    first.socket.destroy()
    while (port.listener.connections > 1) await turn()
    const fourth = await port.dial()
    fourth.send(GET)
    await fourth.reads('hello')
    second.send(GET)
    await second.reads('hello')
  })

  it('ends idle clients when it is closed, and lets what is under way finish', async () => {
    await using port = await startPort('any')
    const finish = Promise.withResolvers<void>()
    const idle = await port.dial()
    idle.send(GET)
    await idle.reads('hello')
    const halfway = await port.dial()
    halfway.send('\x05')
    const untold = await port.dial()
    const tunnel = await port.dial()
    tunnel.send(CONNECT)
    await tunnel.reads('\r\n\r\n')
    const target = new Client(await port.backend.target())
    port.backend.ready = () => finish.promise
    const running = await port.dial()
    running.send(GET)
    while (port.backend.calls.length < 3) await turn()
    while (port.listener.connections < 5) await turn()

    const closed = port.listener[Symbol.asyncDispose]()
    for (const client of [idle, halfway, untold]) await client.closed
    finish.resolve()
    assert.match(await running.readsAll(), /Connection: close[\s\S]*hello$/)
    tunnel.send('still')
    await target.reads('still')
    target.socket.end('done')
    assert.match(await tunnel.readsAll(), /done$/)
    tunnel.socket.end()
    await closed
    assert.equal(port.clock.pending, 0)
  })

  it('cuts off what does not finish in time', async () => {
    await using port = await startPort('any', { drainMs: 3_000 })
    const tunnel = await port.dial()
    tunnel.send(SOCKS)
    await tunnel.reads(SOCKS_OK)
    port.backend.ready = untilAborted
    const waiting = [await port.dial(), await port.dial(), await port.dial()]
    for (const [index, bytes] of [GET, CONNECT, SOCKS].entries()) waiting[index]?.send(bytes)
    while (port.backend.calls.length < 4) await turn()
    const closed = port.listener[Symbol.asyncDispose]()
    await port.clock.advance(2_999)
    assert.equal(port.listener.connections, 4)
    await port.clock.advance(1)
    await closed
    assert.equal(await tunnel.closed, 'reset')
    assert.equal(port.backend.aborted.length, 3)
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })
})
