import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ANYBODY } from '../../domain/caller.ts'
import type { ProblemCode } from '../../domain/problems.ts'
import { failure, untilAborted } from '../fake-backend.ts'
import { Client, startPort, turn } from '../test-lab.ts'

const NONE = '\x05\x01\x00'
const USER = '\x05\x01\x02'
const auth = (user: string, password: string) => `\x01${lengthed(user)}${lengthed(password)}`
const connect = (host: string, port = 443) => `\x05\x01\x00\x03${lengthed(host)}${port16(port)}`
const OK = '\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00'
const HELLO = '\x16\x03\x01\x00\x05hello'

describe('the SOCKS port', { timeout: 20_000 }, () => {
  it('answers once the worker has connected, and is a tunnel from then on', async () => {
    await using port = await startPort('socks')
    const connected = Promise.withResolvers<void>()
    port.backend.ready = () => connected.promise
    const client = await port.dial()
    client.send(USER)
    await client.reads('\x05\x02')
    client.send(auth('key-my-shop;', 'any'))
    await client.reads('\x01\x00')
    client.send(connect('example.com'))
    while (port.backend.calls.length === 0) await turn()
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.equal(client.text, '\x05\x02\x01\x00')
    connected.resolve()
    await client.reads(`\x05\x02\x01\x00${OK}`)
    const target = new Client(await port.backend.target())
    client.send('ping')
    await target.reads('ping')
    target.socket.end('pong')
    assert.equal(await client.readsAll(), `\x05\x02\x01\x00${OK}pong`)
    client.socket.end()
    await port.isQuiet()
    const request = {
      host: 'example.com',
      port: 443,
      isolation: 'destination',
      via: 'socks',
      stickyKey: 'my-shop',
      mode: 'sticky',
      caller: ANYBODY,
    }
    assert.deepEqual(port.backend.calls, [{ type: 'tunnel', request, early: '' }])
    assert.deepEqual(port.backend.outcomes, ['ok'])
    assert.equal(port.clock.pending, 0)
    assert.doesNotMatch(JSON.stringify(port.logger.lines), /example|my-shop/)
  })

  it('takes all of a handshake at once, and the data behind it', async () => {
    const cases = [
      [HELLO, HELLO],
      ['GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n'],
      ['unknown', ''],
    ] as const
    for (const [ahead, early] of cases) {
      await using port = await startPort('socks')
      const client = await port.dial()
      client.send(NONE + connect('example.com') + ahead)
      const target = new Client(await port.backend.target())
      assert.equal(await target.reads(ahead), ahead)
      const [call] = port.backend.calls
      assert.equal(call?.type === 'tunnel' && call.early, early)
      await client.reads(`\x05\x00${OK}`)
    }
  })

  it('sends ahead what comes in a packet of its own right behind the request', async () => {
    await using port = await startPort('socks')
    const client = await port.dial()
    client.send(NONE)
    await client.reads('\x05\x00')
    client.send(connect('example.com'))
    client.send(HELLO)
    const target = new Client(await port.backend.target())
    assert.equal(await target.reads(HELLO), HELLO)
  })

  it('resolves names, and ends', async () => {
    await using port = await startPort('socks')
    for (const [name, answer] of [
      ['four.example', '\x05\x00\x00\x01\xcb\x00\x71\x09\x00\x00'],
      ['six.example', '\x05\x00\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00'],
    ] as const) {
      const client = await port.dial()
      client.send(`${NONE}\x05\xf0\x00\x03${lengthed(name)}\x00\x00`)
      assert.equal(await client.readsAll(), `\x05\x00${answer}`)
      client.socket.end()
    }
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('asks for the password where there is one, and says no more than no', async () => {
    await using port = await startPort('socks')
    port.backend.password = 'pw'
    const cases = [
      [NONE, '\x05\xff'],
      [USER + auth('key-a', 'wrong'), '\x05\x02\x01\x01'],
      [USER + auth('alice', 'pw'), '\x05\x02\x01\x01'],
      [USER + auth('worker-9', 'pw'), '\x05\x02\x01\x01'],
      [USER + auth('', 'pw'), '\x05\x02\x01\x01'],
      [USER + auth('key-a', ''), '\x05\x02\x01\x01'],
    ] as const
    for (const [bytes, answer] of cases) {
      const client = await port.dial()
      client.send(bytes)
      assert.equal(await client.readsAll(), answer)
      client.socket.end()
    }
    assert.equal(port.backend.calls.length, 0)
    const client = await port.dial()
    client.send(USER + auth('worker-2', 'pw') + connect('example.com'))
    await client.reads(`\x05\x02\x01\x00${OK}`)
    const [call] = port.backend.calls
    assert.equal(call?.type === 'tunnel' && call.request.workerId, 'tor02')
  })

  it('takes no key that is not for the proxy, and says no more than no', async () => {
    await using port = await startPort('socks')
    port.backend.password = 'pw'
    port.backend.caller = { ...ANYBODY, scopes: new Set(['fetch'] as const) }
    const client = await port.dial()
    client.send(USER + auth('key-a', 'pw'))
    assert.equal(await client.readsAll(), '\x05\x02\x01\x01')
  })

  it('cuts a tunnel off when the key is revoked, and opens or resolves nothing for it any more', async () => {
    await using port = await startPort('socks')
    port.backend.password = 'pw'
    const open = await port.dial()
    open.send(USER + auth('key-a', 'pw') + connect('example.com'))
    await open.reads(OK)
    port.backend.ready = untilAborted
    const opening = await port.dial()
    opening.send(USER + auth('key-a', 'pw') + connect('example.com'))
    const resolving = await port.dial()
    resolving.send(`${USER}${auth('key-a', 'pw')}\x05\xf0\x00\x03${lengthed('example.com')}\x00\x00`)
    while (port.backend.calls.length < 3) await turn()
    port.backend.revoke()
    assert.equal(await open.closed, 'reset')
    for (const client of [opening, resolving])
      assert.equal((await client.readsAll()).slice(0, 6), '\x05\x02\x01\x00\x05\x01')
    for (const { socket } of [opening, resolving]) socket.end()
    await port.isQuiet()
    assert.equal(port.backend.onRevoked.size, 0)
    assert.deepEqual(port.backend.outcomes, ['client_gone'])
  })

  it('has the fixed answer of each malformed handshake, or closes', async () => {
    await using port = await startPort('socks')
    const cases = [
      ['G', ''],
      ['GET / HTTP/1.1\r\n\r\n', ''],
      ['\x16\x03\x01', ''],
      ['\x06', ''],
      ['\x00', ''],
      ['\x04\x01\x00\x50\x01\x02\x03\x04\x00', '\x00\x5b\x00\x00\x00\x00\x00\x00'],
      ['\x05\x00', '\x05\xff'],
      ['\x05\x01\x01', '\x05\xff'],
      [`${USER}\x05`, '\x05\x02'],
      [`${USER}\x05\x05`, '\x05\x02\x01\x01'],
      [`${NONE}\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50`, '\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00'],
      [`${NONE}\x05\x03\x00\x01\x01\x02\x03\x04\x00\x50`, '\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00'],
      [`${NONE}\x05\xf1\x00\x01\x01\x02\x03\x04\x00\x00`, '\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00'],
      [`${NONE}\x05\x00\x00\x01`, '\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00'],
      [`${NONE}\x05\x01\x00\x09`, '\x05\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00'],
      [`${NONE}\x05\x01\x00\x03\x00`, '\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00'],
      [`${NONE}\x04\x01\x00\x01`, '\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00'],
    ] as const
    for (const [bytes, answer] of cases) {
      const client = await port.dial()
      client.send(bytes)
      client.socket.end()
      assert.equal(await client.readsAll(), answer, JSON.stringify(bytes))
    }
    await port.isQuiet()
    assert.deepEqual(port.backend.calls, [])
    assert.equal(port.clock.pending, 0)
    assert.deepEqual([...new Set(port.logger.lines.map(({ level }) => level))], ['debug'])
  })

  it('tells in the words of SOCKS why there is no tunnel', async () => {
    await using port = await startPort('socks')
    const cases: readonly (readonly [ProblemCode, number])[] = [
      ['target_forbidden', 2],
      ['port_not_allowed', 2],
      ['exit_policy', 2],
      ['worker_network', 3],
      ['resolve_failed', 4],
      ['no_usable_exit', 4],
      ['no_exit_for_country_port', 4],
      ['onion_not_found', 4],
      ['connection_refused', 5],
      ['tor_timeout', 6],
      ['onion_intro_timeout', 6],
      ['host_invalid', 1],
      ['port_invalid', 1],
      ['onion_address_invalid', 1],
      ['no_worker', 1],
      ['tor_failure', 1],
      ['internal', 1],
    ]
    for (const [code, expected] of cases) {
      port.backend.ready = failure(code)
      for (const request of [connect('example.com'), `\x05\xf0\x00\x03${lengthed('example.com')}\x00\x00`]) {
        const client = await port.dial()
        client.send(NONE + request + HELLO)
        assert.equal(
          await client.readsAll(),
          `\x05\x00\x05${String.fromCharCode(expected)}\x00\x01\x00\x00\x00\x00\x00\x00`,
          code,
        )
        client.socket.end()
      }
    }
    await port.isQuiet()
  })

  it('does not hold more than 64 KiB of what is sent ahead', async () => {
    await using port = await startPort('socks')
    port.backend.ready = untilAborted
    const client = await port.dial()
    client.send(NONE + connect('example.com') + 'x'.repeat(64 * 1024))
    while (port.backend.calls.length === 0) await turn()
    for (let turns = 0; turns < 50; turns++) await turn()
    assert.equal(client.text, '\x05\x00')
    client.send('x')
    assert.equal(await client.readsAll(), '\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00')
    client.socket.end()
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('gives ten seconds for a handshake, however slowly it comes', async () => {
    await using port = await startPort('socks')
    const silent = await port.dial()
    const slow = await port.dial()
    const bytes = NONE + connect('example.com')
    while (port.listener.connections < 2) await turn()
    for (let sent = 0; sent < 10; sent++) {
      slow.send(bytes[sent] ?? '')
      await port.clock.advance(999)
    }
    assert.equal(port.listener.connections, 2)
    await port.clock.advance(10)
    assert.deepEqual([await silent.readsAll(), await slow.readsAll()], ['', '\x05\x00'])
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('gives up at once when the client leaves, at every stage', async () => {
    await using port = await startPort('socks')
    const whole = USER + auth('key-a', 'x') + connect('example.com')
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      for (let length = 0; length <= whole.length; length++) {
        port.backend.ready = untilAborted
        const calls = port.backend.calls.length
        const client = await port.dial()
        client.send(whole.slice(0, length))
        if (length === whole.length) while (port.backend.calls.length === calls) await turn()
        client.socket[leave]()
        await port.isQuiet()
        assert.equal(port.clock.pending, 0)
        assert.equal(port.backend.aborted.length, port.backend.calls.length)
      }
    }
    const resolving = await port.dial()
    resolving.send(`${NONE}\x05\xf0\x00\x03${lengthed('example.com')}\x00\x00`)
    while (port.backend.calls.length < 4) await turn()
    resolving.socket.destroy()
    await port.isQuiet()
    assert.equal(port.backend.aborted.length, 4)
  })
})

function lengthed(text: string): string {
  return String.fromCharCode(text.length) + text
}

function port16(port: number): string {
  return String.fromCharCode(port >> 8, port & 0xff)
}
