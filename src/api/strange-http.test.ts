import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { post, read, startServer } from './test-server.ts'

const FETCH = { url: 'http://example.com/' }

describe('strange HTTP', { timeout: 20_000 }, () => {
  it('answers what is not HTTP, or not in time, with a problem', async () => {
    await using running = await startServer()
    const host = `Host: 127.0.0.1:${running.port}\r\n`
    const cases = [
      ['no HTTP', 'hello\r\n\r\n', 'HTTP/1.1 400', 'http_invalid'],
      [
        'headers too large',
        `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(20_000)}\r\n\r\n`,
        'HTTP/1.1 431',
        'request_headers_too_large',
      ],
      [
        'both lengths',
        `POST /api/v1/fetch HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`,
        'HTTP/1.1 400',
        'http_invalid',
      ],
      [
        'two lengths',
        `POST /api/v1/fetch HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
        'HTTP/1.1 400',
        'http_invalid',
      ],
    ]
    for (const [name, bytes = '', status = '', code = ''] of cases) {
      const socket = await running.dial()
      socket.write(bytes)
      const answer = await read(socket, '"}')
      assert.ok(answer.startsWith(status), `${name}: ${answer}`)
      assert.ok(answer.includes(`"code":"${code}"`), `${name}: ${answer}`)
      assert.ok(/application\/problem\+json/.test(answer), name)
      assert.ok(new RegExp(`\r\ncbtor-error: ${code}\r\n`, 'i').test(answer), name)
    }
  })

  it('refuses a chunked body at the limit, without waiting for its end', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    socket.write(
      `POST /api/v1/fetch HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    const chunk = 'x'.repeat(64 * 1024)
    for (let sent = 0; sent <= 1024 * 1024; sent += chunk.length)
      socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`)
    const answer = await read(socket, '"}')
    assert.match(answer, /^HTTP\/1\.1 413 [\s\S]*payload_too_large/)
    assert.deepEqual(running.backend.calls, [])
  })

  it('refuses a repeated header that decides something, whichever of its values is good', async () => {
    await using running = await startServer()
    const good = { Host: `127.0.0.1:${running.port}`, Origin: `http://127.0.0.1:${running.port}` }
    const cases = [
      ['GET', `Host: ${good.Host}\r\nHost: evil.test`],
      ['GET', `Host: evil.test\r\nhOST: ${good.Host}`],
      ['GET', `Host: ${good.Host}\r\nHost: ${good.Host}`],
      // Within the first 64, or hidden behind them.
      ['GET', `Host: ${good.Host}\r\n${'X: y\r\n'.repeat(62)}Host: evil.test`],
      ['GET', `Host: ${good.Host}\r\nOrigin: ${good.Origin}\r\nOrigin: ${good.Origin}`],
      ['POST', `Host: ${good.Host}\r\nContent-Type: application/json\r\nContent-Type: text/plain`],
      ['GET', `Host: ${good.Host}\r\nAuthorization: Bearer a\r\nauthorization: Bearer a`],
    ]
    for (const [method, headers] of cases) {
      const socket = await running.dial()
      socket.write(`${method} /healthz HTTP/1.1\r\n${headers}\r\n\r\n`)
      const answer = await read(socket, '"}')
      assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*connection: close[\s\S]*"code":"duplicate_header"/i, headers)
    }
    const socket = await running.dial()
    socket.write(`GET /healthz HTTP/1.1\r\nHost: ${good.Host}\r\n${'X: y\r\n'.repeat(64)}Host: evil.test\r\n\r\n`)
    assert.match(await read(socket, '"}'), /^HTTP\/1\.1 431 [\s\S]*"code":"request_headers_too_large"/)
  })

  it('answers CONNECT with a problem, and closes', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    const closed = once(socket, 'close')
    socket.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n')
    const answer = await read(socket, '"}')
    assert.match(answer, /^HTTP\/1\.1 405 Method Not Allowed\r\n/)
    assert.match(answer, /\r\nContent-Type: application\/problem\+json\r\n/)
    assert.match(answer, /\r\nAllow: \r\n/)
    assert.match(answer, /\r\nConnection: close\r\n/)
    const [, id] = /\r\nX-Request-Id: (\S+)\r\n/.exec(answer) ?? []
    const problem = JSON.parse(answer.slice(answer.indexOf('{')))
    assert.deepEqual([problem.code, problem.request_id], ['method_not_allowed', id])
    socket.resume()
    await closed
  })

  it('survives a client that sends CONNECT and goes', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    socket.write('CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n')
    socket.resetAndDestroy()
    const response = await fetch(`${running.url}/healthz`)
    assert.equal(response.status, 200)
  })

  it('answers an expectation that it cannot meet with a problem, and closes', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    const closed = once(socket, 'close')
    const body = post(running.port, '/api/v1/fetch', FETCH)
    socket.write(body.replace('\r\n\r\n', '\r\nExpect: a-miracle\r\n\r\n'))
    const answer = await read(socket, '"}')
    assert.match(answer, /^HTTP\/1\.1 417 [\s\S]*application\/problem\+json[\s\S]*"code":"expectation_failed"/)
    assert.match(answer, /\r\nconnection: close\r\n/i)
    assert.deepEqual(running.backend.calls, [])
    socket.resume()
    await closed
  })

  it('lets a client that expects 100-continue go on', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    const [head, body = ''] = post(running.port, '/api/v1/fetch', FETCH).split('\r\n\r\n')
    socket.write(`${head}\r\nExpect: 100-continue\r\n\r\n`)
    await read(socket, 'HTTP/1.1 100 Continue\r\n\r\n')
    socket.write(body)
    assert.match(await read(socket, 'total_ms'), /^HTTP\/1\.1 200 /)
  })
})
