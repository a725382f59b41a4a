import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ANYBODY } from '../../domain/caller.ts'
import { failure, untilAborted } from '../fake-backend.ts'
import { Client, startPort, turn } from '../test-lab.ts'

const CONNECT = 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'
const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n'
const HELLO = '\x16\x03\x01\x00\x05hello'

describe('CONNECT', { timeout: 20_000 }, () => {
  it('is answered once the worker has connected, and is a tunnel from then on', async () => {
    await using port = await startPort('http')
    const connected = Promise.withResolvers<void>()
    port.backend.ready = () => connected.promise
    const client = await port.dial()
    client.send(CONNECT.replace('\r\n\r\n', '\r\nProxy-Authorization: Basic aXNvbGF0ZS1yZXF1ZXN0Ong=\r\n\r\n'))
    while (port.backend.calls.length === 0) await turn()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.equal(client.text, '')
    connected.resolve()
    await client.reads(ESTABLISHED)
    const target = new Client(await port.backend.target())
    client.send('\x00\xff any bytes')
    await target.reads('any bytes')
    target.send('\x00back')
    await client.reads(`${ESTABLISHED}\x00back`)
    target.socket.end()
    await client.readsAll()
    client.socket.end()
    await port.isQuiet()
    assert.deepEqual(port.backend.calls, [
      {
        type: 'tunnel',
        request: { host: 'example.com', port: 443, isolation: 'request', caller: ANYBODY, via: 'http' },
        early: '',
      },
    ])
    assert.deepEqual(port.backend.outcomes, ['ok'])
    assert.equal(port.clock.pending, 0)
    assert.deepEqual(port.logger.lines, []) // who keeps the tunnel writes them
  })

  it('is answered with the problem when there is no tunnel, and the connection ends', async () => {
    await using port = await startPort('http')
    const cases = [
      ['target_forbidden', 403, 'destination_ip_prohibited'],
      ['port_not_allowed', 403, 'http_request_denied'],
      ['resolve_failed', 502, 'dns_error'],
      ['tor_timeout', 504, 'connection_timeout'],
      ['no_exit_for_country_port', 422, 'http_request_denied'],
      ['no_worker', 503, 'destination_unavailable'],
      ['onion_not_found', 502, 'destination_unavailable'],
    ] as const
    for (const [code, status, error] of cases) {
      port.backend.ready = failure(code)
      const client = await port.dial()
      client.send(CONNECT + HELLO)
      const answer = await client.readsAll()
      const pattern = `^HTTP/1.1 ${status} [\\s\\S]*Proxy-Status: cbtor; error=${error}; details="${code}"\r\nConnection: close\r\n\r\n{.*"code":"${code}".*}$`
      assert.match(answer, new RegExp(pattern))
      client.socket.end()
    }
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('holds what is sent right behind it, and sends ahead what may be sent twice', async () => {
    const cases = [
      [HELLO, HELLO],
      [`${HELLO}\x17\x03\x03\x00\x01x`, HELLO],
      ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
      ['POST / HTTP/1.1\r\nHost: a\r\n\r\n', ''],
      ['SSH-2.0-x\r\n', ''],
    ] as const
    for (const [ahead, early] of cases) {
      await using port = await startPort('http')
      const connected = Promise.withResolvers<void>()
      port.backend.ready = () => connected.promise
      const client = await port.dial()
      client.send(CONNECT + ahead)
      while (port.backend.calls.length === 0) await turn()
      client.send('more')
      for (let turns = 0; turns < 5; turns++) await turn()
      connected.resolve()
      const target = new Client(await port.backend.target())
      assert.equal(await target.reads('more'), `${ahead}more`)
      const [call] = port.backend.calls
      assert.equal(call?.type === 'tunnel' && call.early, early)
    }
  })

  it('does not hold more than 64 KiB', async () => {
    await using port = await startPort('http')
    port.backend.ready = untilAborted
    const client = await port.dial()
    client.send(CONNECT + 'x'.repeat(64 * 1024))
    while (port.backend.calls.length === 0) await turn()
    for (let turns = 0; turns < 50; turns++) await turn()
    assert.equal(client.text, '')
    client.send('x')
    assert.match(await client.readsAll(), /^HTTP\/1\.1 413 [\s\S]*payload_too_large/)
    client.socket.end()
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('waits for the answers to the requests before it', async () => {
    await using port = await startPort('http')
    const first = Promise.withResolvers<void>()
    port.backend.ready = () => first.promise
    const client = await port.dial()
    client.send(`GET http://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n${CONNECT}ahead`)
    while (port.backend.calls.length === 0) await turn()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.equal(port.backend.calls.length, 1)
    first.resolve()
    const target = new Client(await port.backend.target())
    await target.reads('ahead')
    assert.match(await client.reads(ESTABLISHED), /^HTTP\/1\.1 200 OK[\s\S]*helloHTTP\/1\.1 200 Connection established/)
  })

  it('is given up at once when its client leaves, at every stage', async () => {
    await using port = await startPort('http')
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      port.backend.ready = untilAborted
      const waiting = await port.dial()
      waiting.send(CONNECT)
      const calls = port.backend.aborted.length
      while (port.backend.calls.length <= calls) await turn()
      waiting.socket[leave]()
      await port.isQuiet()
      assert.match(String(port.backend.aborted[calls]), /client closed/)
    }
    port.backend.ready = async () => {}
    const open = await port.dial()
    open.send(CONNECT)
    await open.reads(ESTABLISHED)
    open.socket.resetAndDestroy()
    await port.isQuiet()
    assert.deepEqual(port.backend.outcomes, ['client_gone'])
    assert.equal(port.clock.pending, 0)
  })

  it('does not wait for its tunnel for ever', async () => {
    await using port = await startPort('http')
    port.backend.ready = untilAborted
    const client = await port.dial()
    client.send(CONNECT)
    while (port.backend.calls.length === 0) await turn()
    await port.clock.advance(150_000)
    assert.match(await client.readsAll(), /^HTTP\/1\.1 504 [\s\S]*"code":"tor_timeout"/)
  })

  it('goes on when a client that has sent something ahead ends its side', async () => {
    await using port = await startPort('http')
    const connected = Promise.withResolvers<void>()
    port.backend.ready = () => connected.promise
    const client = await port.dial()
    client.socket.end(`${CONNECT}GET / HTTP/1.0\r\n\r\n`)
    while (port.backend.calls.length === 0) await turn()
    for (let turns = 0; turns < 20; turns++) await turn()
    connected.resolve()
    const target = new Client(await port.backend.target())
    await target.reads('\r\n\r\n')
    target.socket.end('answer')
    assert.equal(await client.readsAll(), `${ESTABLISHED}answer`)
    await port.isQuiet()
  })

  it('is cut off when its key is revoked, and refused while it is being opened', async () => {
    await using port = await startPort('http')
    const open = await port.dial()
    open.send(CONNECT)
    await open.reads(ESTABLISHED)
    port.backend.ready = untilAborted
    const opening = await port.dial()
    opening.send(CONNECT)
    while (port.backend.calls.length < 2) await turn()
    port.backend.revoke()
    assert.equal(await open.closed, 'reset')
    assert.match(await opening.readsAll(), /^HTTP\/1\.1 407 [\s\S]*"detail":"Cannot go on: the key was revoked/)
    opening.socket.end()
    await port.isQuiet()
    assert.equal(port.backend.onRevoked.size, 0)
    assert.deepEqual(port.backend.outcomes, ['client_gone'])
  })
})
