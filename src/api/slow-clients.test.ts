import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { TestCertificate } from '../listen/test-certificate.ts'
import { fakeAnswer } from './fake-backend.ts'
import { post, read, startServer } from './test-server.ts'

const FETCH = { url: 'http://example.com/' }

describe('slow clients', { timeout: 20_000 }, () => {
  it('have to send a body at 500 bytes a second', async () => {
    await using running = await startServer()
    const head = `POST /api/v1/fetch HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\nContent-Type: application/json\r\n`
    for (const length of ['Content-Length: 100000', 'Transfer-Encoding: chunked']) {
      const socket = await running.dial()
      const closed = once(socket, 'close')
      const begun = running.backend.calls.length
      socket.write(`${head}${length}\r\n\r\n`)
      while (running.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
      for (let second = 0; second < 11; second++) {
        socket.write(length.startsWith('C') ? ' ' : '1\r\n \r\n')
        await running.clock.advance(1_000)
      }
      assert.match(await read(socket, '"}'), /^HTTP\/1\.1 408 [\s\S]*Connection: close[\s\S]*"code":"request_timeout"/)
      socket.resume()
      await closed
      assert.equal(running.backend.calls.length, begun)
      assert.equal(running.clock.pending, 0)
    }
  })

  it('are so many at most, and the next is taken when one has gone', async () => {
    await using running = await startServer({ maxConnections: 2 })
    const get = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\n\r\n`
    const [first, second] = [await running.dial(), await running.dial()]
    const third = await running.dial()
    assert.equal(await read(third, 'nothing'), '')
    const gone = once(first, 'close')
    first.destroy()
    await gone
    for (;;) {
      const fourth = await running.dial()
      fourth.write(get)
      if ((await read(fourth, '\r\n')).startsWith('HTTP/1.1 200 ')) break
    }
    second.write(get)
    assert.match(await read(second, '\r\n'), /^HTTP\/1\.1 200 /)
  })

  it('may take their time when it is we who take it', async () => {
    await using running = await startServer()
    const finish = Promise.withResolvers<void>()
    const started = Promise.withResolvers<void>()
    running.backend.answer = async (request) => {
      started.resolve()
      await finish.promise
      return fakeAnswer(request)
    }
    const socket = await running.dial()
    socket.write(post(running.port, '/api/v1/fetch', FETCH))
    await started.promise
    await running.clock.advance(600_000)
    finish.resolve()
    assert.match(await read(socket, 'total_ms'), /^HTTP\/1\.1 200 /)
  })

  it('may take an answer bit by bit, by TLS as well', async () => {
    using files = new TestCertificate()
    const body = Buffer.alloc(24 * 1024 * 1024, 'x')
    for (const tls of [undefined, await files.tls()]) {
      await using running = await startServer({ tls })
      running.backend.answer = async (request) => ({ ...fakeAnswer(request), body })
      const { port } = running
      const socket: Socket = tls ? connectTls({ port, host: '127.0.0.1', ca: files.pem }) : connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(post(port, '/api/v1/fetch', FETCH))
      let received = 0
      while (received < body.length) {
        const before = received
        for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
          received += chunk.length
          if (received - before > 4 * 1024 * 1024 || received >= body.length) break
        }
        assert.ok(received > before, `the end came after ${received} bytes`)
        await running.clock.advance(100_000)
      }
      socket.destroy()
    }
  })

  it('have to take an answer, and get no more of it when they do not', async () => {
    await using running = await startServer()
    const body = Buffer.alloc(32 * 1024 * 1024, 'x')
    running.backend.answer = async (request) => ({ ...fakeAnswer(request), body })
    const logged = running.logger.next()
    const socket = await running.dial()
    const closed = once(socket, 'close')
    socket.write(post(running.port, '/api/v1/fetch', FETCH))
    await once(socket, 'readable') // the first of it; the rest is left where it is
    while (running.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    await running.clock.advance(140_000)
    assert.equal((await logged).fields.route, '/api/v1/fetch')
    let received = 0
    socket.on('data', (chunk: string) => {
      received += chunk.length
    })
    await closed
    assert.ok(received < body.length, `${received} bytes came`)
    assert.equal(running.clock.pending, 0)
  })
})
