import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { okAnswer, untilAborted } from '../fake-backend.ts'
import { startPort, turn } from '../test-lab.ts'

const GET = 'GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\n\r\n'

describe('clients of the HTTP port that leave', { timeout: 20_000 }, () => {
  it('abort what is under way, at every stage', async () => {
    await using port = await startPort('http')
    let half = new PassThrough()
    const stages: readonly (readonly [string, string, () => void, (() => Promise<void>)?])[] = [
      ['in a head', GET.slice(0, 30), () => {}],
      ['while the service waits', GET, () => (port.backend.ready = untilAborted)],
      ['while the target waits', GET, () => (port.backend.answer = (_request, signal) => untilAborted(signal))],
      [
        'in a body',
        'POST http://a.example/ HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc',
        () => (port.backend.ready = untilAborted),
      ],
      ['with another request behind', GET + GET, () => (port.backend.ready = untilAborted)],
      [
        'in an answer',
        GET,
        () => {
          half = new PassThrough()
          port.backend.answer = async () => okAnswer(half)
        },
      ],
    ]
    for (const [name, bytes, prepare] of stages) {
      for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
        port.backend.ready = async () => {}
        prepare()
        const calls = port.backend.calls.length
        const client = await port.dial()
        client.send(bytes)
        if (name === 'in an answer') await client.reads('chunked')
        else if (name !== 'in a head') while (port.backend.calls.length === calls) await turn()
        client.socket[leave]()
        await port.isQuiet()
        assert.equal(port.clock.pending, 0, `${name}, ${leave}`)
        if (port.backend.calls.length > calls && name !== 'in an answer') {
          const reason = port.backend.aborted.at(-1)
          assert.ok(reason instanceof Error && /client closed|not valid HTTP/.test(reason.message), `${name}, ${leave}`)
        }
      }
    }
    assert.equal(half.destroyed, true)
    assert.deepEqual(
      port.logger.lines.filter(({ level }) => level !== 'debug'),
      [],
    )
  })

  it('are still answered when they have said that this is their last request, and only end their side', async () => {
    await using port = await startPort('http')
    port.backend.answer = async () => {
      for (let turns = 0; turns < 20; turns++) await turn()
      return okAnswer('hello')
    }
    for (const request of [
      'GET http://a.example/ HTTP/1.0\r\n\r\n',
      'GET http://a.example/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ]) {
      const client = await port.dial()
      client.socket.end(request)
      assert.match(await client.readsAll(), /hello$/)
    }
    await port.isQuiet()
    assert.deepEqual(port.backend.aborted, [])
  })

  it('see a reset when an answer is cut off, so that a part is not taken for the whole', async () => {
    await using port = await startPort('http')
    for (const request of [GET, 'GET http://a.example/ HTTP/1.0\r\n\r\n']) {
      const body = new PassThrough()
      port.backend.answer = async () => okAnswer(body)
      const client = await port.dial()
      client.send(request)
      body.write('half')
      await client.reads('half')
      body.destroy(request === GET ? new Error('lost') : undefined)
      assert.equal(await client.closed, 'reset')
    }
    await port.isQuiet()
  })

  it('are told of a body that turns out to be broken, unless their answer has begun', async () => {
    await using port = await startPort('http')
    port.backend.answer = (_request, signal) => untilAborted(signal)
    const client = await port.dial()
    client.send('POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    while (port.backend.calls.length === 0) await turn()
    client.send('no length\r\n')
    assert.match(await client.readsAll(), /^HTTP\/1\.1 400 [\s\S]*http_invalid/)
    await port.isQuiet()
    assert.equal(port.clock.pending, 0)
  })

  it('get the answers before what is broken, and then hear of it', async () => {
    await using port = await startPort('http')
    const client = await port.dial()
    client.send(`${GET}garbage\r\n\r\n`)
    assert.match(await client.readsAll(), /^HTTP\/1\.1 200 OK[\s\S]*helloHTTP\/1\.1 400 [\s\S]*http_invalid/)
  })
})

describe('clients of the HTTP port that are slow', { timeout: 20_000 }, () => {
  it('have ten seconds for a head, on a new connection and on one that is kept', async () => {
    await using port = await startPort('http')
    const slow = await port.dial()
    slow.send('GET http://a.example/ HTTP/1.1\r\nX-A')
    const silent = await port.dial()
    const kept = await port.dial()
    kept.send(GET)
    await kept.reads('hello')
    await kept.reads('hello')
    while (port.listener.connections < 3) await turn()
    await port.clock.advance(9_999)
    kept.send('GET http')
    slow.send('B')
    for (let turns = 0; turns < 20; turns++) await turn()
    assert.equal(port.listener.connections, 3)
    await port.clock.advance(1)
    assert.match(await slow.readsAll(), /^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/)
    assert.equal(await silent.readsAll(), '')
    assert.match(await kept.readsAll(), /hello/)
  })

  it('are told so on a port for both protocols as well, and have nothing done for them any more', async () => {
    for (const protocol of ['http', 'any'] as const) {
      for (const [head, rest] of [
        ['POST http://a.example/ HTTP/1.1\r\nContent-Length: 0\r\n', '\r\n'],
        ['CONNECT a.example:443 HTTP/1.1\r\n', '\r\nahead'],
      ] as const) {
        await using port = await startPort(protocol)
        const slow = await port.dial()
        slow.send(head)
        while (port.clock.pending === 0) await turn()
        for (let turns = 0; turns < 20; turns++) await turn()
        await port.clock.advance(10_000)
        await slow.reads('request_timeout')
        slow.send(rest)
        for (let turns = 0; turns < 20; turns++) await turn()
        assert.deepEqual(port.backend.calls, [])
        assert.equal((await slow.readsAll()).match(/HTTP\/1\.1/g)?.length, 1)
        slow.socket.end()
        await port.isQuiet()
        assert.equal(port.clock.pending, 0)
      }
    }
  })

  it('may send the rest of a body long after its answer', async () => {
    await using port = await startPort('http')
    let received = Promise.resolve('')
    port.backend.answer = async ({ body }) => {
      if (body) received = text(body)
      return okAnswer('early')
    }
    const client = await port.dial()
    client.send('POST http://example.com/ HTTP/1.1\r\nContent-Length: 4\r\n\r\n')
    await client.reads('early')
    for (const piece of ['a', 'b', 'c', 'd']) {
      await port.clock.advance(9_000)
      client.send(piece)
      await turn()
    }
    assert.equal(await received, 'abcd')
    client.send(GET.replace('Host', 'Connection: close\r\nHost'))
    assert.match(await client.readsAll(), /^HTTP\/1\.1 200 OK[\s\S]*early(?:HTTP\/1\.1 200 OK)[\s\S]*early$/)
  })

  it('are cut off when the rest of a body does not come for five minutes', async () => {
    await using port = await startPort('http')
    port.backend.answer = async () => okAnswer('early')
    const client = await port.dial()
    client.send('POST http://example.com/ HTTP/1.1\r\nContent-Length: 4\r\n\r\n')
    await client.reads('early')
    await port.clock.advance(299_000)
    assert.equal(client.socket.readableEnded, false)
    await port.clock.advance(38_500)
    assert.equal((await client.readsAll()).split('HTTP/1.1').length, 2)
    await port.isQuiet()
  })

  it('are cut off when nothing flows for five minutes', async () => {
    await using port = await startPort('http')
    port.backend.answer = (_request, signal) => untilAborted(signal)
    const client = await port.dial()
    client.send(GET)
    while (port.backend.calls.length === 0) await turn()
    await port.clock.advance(337_500)
    assert.match(await client.reads('"}'), /^HTTP\/1\.1 504 [\s\S]*"code":"timeout"/)
  })
})
