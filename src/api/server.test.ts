import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'
import { systemRandom } from '../lib/random.ts'
import { fakeAnswer } from './fake-backend.ts'
import { createApiServer } from './server.ts'
import { post, read, startServer } from './test-server.ts'

const FETCH = { url: 'http://example.com/' }

describe('createApiServer()', { timeout: 20_000 }, () => {
  it('refuses to listen on anything but loopback', async () => {
    await using running = await startServer()
    for (const host of [
      '0.0.0.0',
      '::',
      '192.0.2.1',
      '',
      'example.com',
      '127.0.0.1.evil.test',
      '::1%lo',
      '::ffff:192.0.2.1',
    ]) {
      await assert.rejects(
        running.server.listen({ host, port: 0 }),
        { code: 'invalid_input', message: /loopback/ },
        host,
      )
    }
  })

  it('says so when the port is taken', async () => {
    await using running = await startServer()
    await using second = await createApiServer({
      backend: running.backend,
      keys: running.keys,
      auth: 'off',
      logger: running.logger,
      clock: running.clock,
      random: systemRandom,
    })
    await assert.rejects(second.listen({ host: '127.0.0.1', port: running.port }), { message: /EADDRINUSE/ })
  })

  it('answers for its own loopback names with its port only', async () => {
    await using running = await startServer()
    const statusFor = async (host: string | undefined) => {
      const socket = await running.dial()
      socket.write(`GET /healthz HTTP/1.1\r\n${host === undefined ? '' : `Host: ${host}\r\n`}Connection: close\r\n\r\n`)
      return (await read(socket, '\r\n')).split(' ')[1]
    }
    assert.equal(await statusFor(`127.0.0.1:${running.port}`), '200')
    assert.equal(await statusFor(`localhost:${running.port}`), '200')
    assert.equal(await statusFor('127.0.0.1'), '421')
    assert.equal(await statusFor(`evil.test:${running.port}`), '421')
    assert.equal(await statusFor(undefined), '421')
  })

  it('answers for the address that it listens on, whichever form it was given in', async () => {
    for (const host of ['127.0.0.2', '0:0:0:0:0:0:0:1', '::FFFF:127.0.0.1']) {
      await using running = await startServer({ host })
      const asGiven = host.includes(':') ? `[${host}]` : host
      for (const name of [asGiven, new URL(running.url).hostname, 'localhost']) {
        const socket = await running.dial()
        socket.write(`GET /healthz HTTP/1.1\r\nHost: ${name}:${running.port}\r\nConnection: close\r\n\r\n`)
        assert.match(await read(socket, '\r\n'), /^HTTP\/1\.1 200 /, `${host} as ${name}`)
      }
    }
  })

  it('aborts a fetch at once when its client goes, also on a connection that has been used before', async () => {
    await using running = await startServer()
    const started = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<unknown>()
    const socket = await running.dial()
    socket.write(post(running.port, '/api/v1/fetch', FETCH))
    await read(socket, 'total_ms')

    running.backend.answer = (_request, signal) => {
      started.resolve()
      onAbort(signal, aborted.resolve)
      return new Promise((_resolve, reject) => onAbort(signal, reject))
    }
    socket.write(post(running.port, '/api/v1/fetch', FETCH))
    await started.promise
    socket.destroy()
    const reason = await aborted.promise
    assert.ok(reason instanceof CbtorError && reason.code === 'client_gone')
  })

  it('takes a client that goes in the middle of its request for no bug of ours', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    socket.write(post(running.port, '/api/v1/fetch', FETCH).slice(0, -5))
    socket.destroy()
    const { fields } = await running.logger.next()
    assert.deepEqual([fields.route, fields.status], ['/api/v1/fetch', 499])
    assert.deepEqual(
      running.logger.lines.filter(({ level }) => level !== 'debug'),
      [],
    )
    assert.deepEqual(running.backend.calls, [])
  })

  it('leaves the signal alone when the client stays', async () => {
    await using running = await startServer()
    let signal: AbortSignal | undefined
    running.backend.answer = async (request, its) => {
      signal = its
      return fakeAnswer(request)
    }
    const response = await fetch(`${running.url}/api/v1/fetch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(FETCH),
    })
    await response.text()
    const socket = await running.dial() // another round trip, so that a late abort would show
    socket.write('GET /healthz HTTP/1.0\r\n\r\n')
    await read(socket, '\r\n')
    assert.equal(signal?.aborted, false)
  })
})

describe('GET /api/v1/events/stream', { timeout: 20_000 }, () => {
  const get = (port: number, path: string, more = '') =>
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${more}\r\n`

  it('sends its headers at once, and each event as it happens', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    socket.write(get(running.port, '/api/v1/events/stream'))
    const begin = await read(socket, 'id: 0\n\n')
    assert.match(begin, /^HTTP\/1\.1 200 /)
    assert.match(begin, /content-type: text\/event-stream\r\n/i)
    assert.match(begin, /cache-control: no-store\r\n/i)
    assert.match(begin, /x-content-type-options: nosniff\r\n/i)
    running.backend.happen({ type: 'session_rotated', worker: 'tor01' })
    assert.match(await read(socket, '}\n\n'), /id: 1\nevent: session_rotated\ndata: {"id":1,/)
    await running.clock.advance(15_000)
    assert.match(await read(socket, 'heartbeat'), /: heartbeat/)
  })

  it('goes on after Last-Event-ID, which is stronger than the query', async () => {
    await using running = await startServer()
    for (let count = 0; count < 3; count++) running.backend.happen({ type: 'session_rotated', worker: 'tor01' })
    const socket = await running.dial()
    socket.write(get(running.port, '/api/v1/events/stream?since_id=1', 'Last-Event-ID: 2\r\n'))
    const received = await read(socket, /"id":3,.*\n\n/)
    assert.doesNotMatch(received, /"id":2,/)
  })

  it('lets go of a reader that has gone', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    socket.write(get(running.port, '/api/v1/events/stream'))
    await read(socket, 'id: 0\n\n')
    assert.ok(running.clock.pending > 0)
    socket.destroy()
    await running.logger.next()
    await running.clock.advance(0)
    assert.equal(running.clock.pending, 0)
  })

  it('cuts off a reader that stays connected and reads nothing', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    const closed = once(socket, 'close')
    socket.write(get(running.port, '/api/v1/events/stream?type=worker_quarantined'))
    await read(socket, 'id: 0\n\n')
    socket.pause()
    const logged = running.logger.next()
    // More than the buffers of both sides hold; a reader that reads would take it at once.
    const reason = 'x'.repeat(2 * 1024 * 1024)
    for (let count = 0; count < 4; count++) {
      running.backend.happen({ type: 'worker_quarantined', worker: 'tor01', reason })
      await running.clock.advance(1_000)
    }
    await running.clock.advance(30_000)
    assert.equal((await logged).fields.route, '/api/v1/events/stream')
    assert.equal(running.clock.pending, 0)
    socket.resume()
    await closed
  })
})

describe('close()', { timeout: 20_000 }, () => {
  it('lets a running request finish, takes no new one, and ends', async () => {
    await using running = await startServer()
    const started = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    running.backend.answer = async (request) => {
      started.resolve()
      await finish.promise
      return fakeAnswer(request)
    }
    const socket = await running.dial()
    socket.write(post(running.port, '/api/v1/fetch', FETCH))
    await started.promise
    const halfway = await running.dial()
    halfway.write(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\n`)
    const closed = running.server.close()
    await running.refusesConnections()
    halfway.write('\r\n')
    assert.match(await read(halfway, '"}'), /^HTTP\/1\.1 503 [\s\S]*connection: close[\s\S]*shutting_down/i)
    finish.resolve()
    const answer = await read(socket, 'total_ms')
    assert.match(answer, /^HTTP\/1\.1 200 /)
    assert.match(answer, /connection: close/i)
    await closed
    assert.equal(running.clock.pending, 0)
  })

  it('ends the streams of events at once', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    const ended = once(socket, 'end')
    socket.write(`GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\n\r\n`)
    await read(socket, 'id: 0\n\n')
    await running.server.close()
    socket.resume()
    await ended
    assert.equal(running.clock.pending, 0)
  })

  it('ends what does not finish in time', async () => {
    await using running = await startServer()
    const started = Promise.withResolvers<void>()
    running.backend.answer = (_request, signal) => {
      started.resolve()
      return new Promise((_resolve, reject) => onAbort(signal, reject))
    }
    const socket = await running.dial()
    socket.write(post(running.port, '/api/v1/fetch', FETCH))
    await started.promise
    const closed = running.server.close()
    await running.clock.advance(10_000)
    await closed
    assert.equal(await read(socket, 'nothing'), '')
  })
})
