import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { CbtorError } from '../../domain/errors.ts'
import type { StreamedAnswer } from '../../domain/exchange.ts'
import { fakeStream } from '../fake-backend.ts'
import { createTestApp } from '../test-app.ts'
import { post, read, startServer } from '../test-server.ts'

const RAW = '/api/v1/fetch/raw'

/** Everything until the connection ends, and whether it ended in order. */
async function readAll(socket: Socket): Promise<{ head: string; rest: string }> {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  const [head = '', ...rest] = text.split('\r\n\r\n')
  return { head: head.toLowerCase(), rest: rest.join('\r\n\r\n') }
}

describe(`GET and POST ${RAW}`, { timeout: 20_000 }, () => {
  it("answers with the target's status and bytes, the receipt in headers and, behind the body, trailers", async () => {
    await using running = await startServer()
    const coded = gzipSync('the body')
    running.backend.streamed = async (request) =>
      fakeStream(request, [coded.subarray(0, 9), coded.subarray(9)], {
        ...{ status: 404, statusText: 'Gone Fishing', hedged: true },
        headers: [
          ['content-type', 'text/html'],
          ['content-encoding', 'gzip'],
          ['content-length', String(coded.length)],
        ],
      })
    const socket = await running.dial()
    const payload = { url: 'https://example.com/a', circuit_path: true }
    socket.write(post(running.port, RAW, payload).replace('\r\n', '\r\nConnection: close\r\n'))
    const { head, rest } = await readAll(socket)
    assert.match(head, /^http\/1\.1 404 gone fishing\r\n/)
    for (const line of [
      'cbtor-delivered: 1',
      'cbtor-status: 404',
      'cbtor-url: https://example.com/a',
      'cbtor-worker: tor01',
      'cbtor-route: socks',
      'cbtor-identity: destination',
      `cbtor-exit: ${'a'.repeat(40)}`,
      'cbtor-exit-nickname: exit1',
      'cbtor-exit-address: 203.0.113.7',
      'cbtor-exit-country: de',
      'cbtor-connection-reused: false',
      'cbtor-session-moved: false',
      'cbtor-hedged: true',
      'cbtor-attempts: tor01=ok;ms=5',
      'cbtor-redirects: 0',
      'cbtor-timing: queue;dur=0.13, connect;dur=1, tls;dur=2, first_byte;dur=3',
      'content-encoding: gzip',
      'content-type: text/html',
      `cbtor-target-content-length: ${coded.length}`,
      'transfer-encoding: chunked',
      'trailer: cbtor-bytes, cbtor-body-ms, cbtor-total-ms, cbtor-truncated',
    ])
      assert.ok(head.includes(`\r\n${line}`), `${line} in\n${head}`)
    assert.ok(rest.includes(coded.subarray(9).toString('latin1')), 'not a byte is changed')
    assert.match(
      rest,
      /\r\n0\r\nCBTOR-Bytes: received=700, sent=300, body=14\r\nCBTOR-Body-Ms: 4\r\nCBTOR-Total-Ms: 10\r\nCBTOR-Truncated: false\r\n\r\n$/,
    )
  })

  it('takes the fields of a fetch as a query, or as JSON, without a limit for the body', async () => {
    await using test = await createTestApp()
    const asked = {
      url: 'http://a.test/?q=1&r=2',
      method: 'HEAD',
      timeout_ms: '5000',
      max_bytes: '123456789012',
      allow_truncated: 'true',
      follow_redirects: 'false',
      exclude_countries: 'us,gb',
      session_ttl_s: '60',
      sticky_key: 'me',
      worker: '2',
    }
    const byGet = await test.app.inject({ url: RAW, query: asked })
    assert.equal(byGet.statusCode, 200)
    const byPost = await test.app.inject({ method: 'POST', url: RAW, payload: { url: 'http://a.test/' } })
    assert.equal(byPost.body, '{"IsTor":true}')
    const [first, second] = test.backend.requests
    assert.ok(first && second)
    const { caller: _, headers: __, ...fields } = first
    assert.deepEqual(fields, {
      url: asked.url,
      method: 'HEAD',
      timeoutMs: 5_000,
      maxBytes: 123_456_789_012,
      allowTruncated: true,
      followRedirects: false,
      maxRedirects: 10,
      allowDowngrade: false,
      allowOnionToClearnet: false,
      isolation: 'destination',
      stickyKey: 'me',
      sessionTtlMs: 60_000,
      exitRule: { excludeCountries: ['us', 'gb'] },
      mode: 'sticky',
      via: 'raw',
      workerId: 'tor02',
    })
    assert.deepEqual([second.maxBytes, second.timeoutMs], [Number.POSITIVE_INFINITY, 60_000])
  })

  it('says what is wrong with a query, with a code, and answers problems as problems', async () => {
    await using test = await createTestApp()
    const cases: [query: Record<string, string>, code: string][] = [
      [{}, 'url_required'],
      [{ url: 'http://a.test/', timeout_ms: 'x' }, 'timeout_range'],
      [{ url: 'http://a.test/', timeout_ms: '1e3' }, 'timeout_range'],
      [{ url: 'http://a.test/', allow_truncated: 'yes' }, 'invalid_input'],
      [{ url: 'http://a.test/', method: 'POST' }, 'invalid_input'],
      [{ url: 'http://a.test/', headers: 'x' }, 'unknown_field'],
      [{ url: 'http://a.test/', country: 'xx' }, 'country_invalid'],
      [{ url: 'http://a.test/', exclude_countries: 'us,xx' }, 'country_invalid'],
      [{ url: 'http://a.test/', on_loss: 'fail' }, 'invalid_input'],
    ]
    for (const [query, code] of cases) {
      const response = await test.app.inject({ url: RAW, query })
      assert.deepEqual([response.statusCode, response.json().code], [400, code], JSON.stringify(query))
      assert.equal(response.headers['cbtor-error'], code)
    }
    test.backend.streamed = async () => {
      throw new CbtorError('no_worker', 'Cannot fetch: every worker is dead', { retryAfterMs: 1_000 })
    }
    const response = await test.app.inject({ url: RAW, query: { url: 'http://a.test/' } })
    assert.deepEqual([response.statusCode, response.headers['cbtor-error']], [503, 'no_worker'])
    assert.equal(response.headers['cbtor-delivered'], undefined)
    assert.equal(response.headers['retry-after'], '1')
    assert.equal(
      (await test.app.inject({ method: 'HEAD', url: RAW, query: { url: 'http://a.test/' } })).statusCode,
      405,
    )
  })

  it("lets no header of the target act on this service's origin, on the client, or as one of ours", async () => {
    await using test = await createTestApp()
    const hostile: StreamedAnswer['headers'] = [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['location', 'http://elsewhere.test/'],
      ['content-security-policy', "default-src * 'unsafe-inline'"],
      ['content-disposition', 'inline'],
      ['access-control-allow-origin', '*'],
      ['clear-site-data', '"*"'],
      ['www-authenticate', 'Basic'],
      ['cache-control', 'public, max-age=31536000'],
      ['cbtor-worker', 'tor99'],
      ['cbtor-target-x', 'forged'],
      ['x-request-id', 'forged'],
      ['bad\u0001value', 'x'],
      ['x-bad', 'a\u0000b'],
    ]
    const given = { status: 302, statusText: 'F\u{fffd}und', headers: hostile.slice(0, 12).concat(hostile.slice(13)) }
    test.backend.streamed = async (request) => fakeStream(request, [], given)
    const { statusCode, headers } = await test.app.inject({ url: RAW, query: { url: 'http://a.test/' } })
    assert.equal(statusCode, 302)
    for (const name of ['set-cookie', 'location', 'access-control-allow-origin', 'clear-site-data', 'www-authenticate'])
      assert.equal(headers[name], undefined, name)
    assert.deepEqual(headers['cbtor-target-set-cookie'], ['a=1', 'b=2'])
    assert.equal(headers['cbtor-target-location'], 'http://elsewhere.test/')
    assert.equal(headers['cbtor-worker'], 'tor01')
    assert.equal(headers['cbtor-target-x'], undefined)
    assert.equal(headers['cache-control'], 'no-store')
    assert.match(String(headers['content-security-policy']), /^sandbox/)
    assert.equal(headers['content-disposition'], 'attachment')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.notEqual(headers['x-request-id'], 'forged')
    assert.equal(headers['cbtor-target-x-bad'], undefined)
  })

  it('breaks off when the body does, and never ends it in order, for clients of HTTP/1.0 neither', async () => {
    for (const version of ['1.1', '1.0']) {
      await using running = await startServer()
      const body = new Readable({ read() {} })
      running.backend.streamed = async (request) => fakeStream(request, body)
      const socket = await running.dial()
      const ends: string[] = []
      const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      socket.once('end', () => ends.push('end')).once('error', () => ends.push('error'))
      socket.write(post(running.port, RAW, { url: 'http://a.test/' }).replace('HTTP/1.1', `HTTP/${version}`))
      body.push('half')
      const text = await read(socket, 'half')
      body.destroy(new Error('lost'))
      socket.resume()
      await ended
      assert.doesNotMatch(text, /\r\n0\r\n/)
      if (version === '1.0') assert.deepEqual(ends, ['error'])
    }
  })

  it('tells a client of HTTP/1.0 the length, when the target told it', async () => {
    await using running = await startServer()
    running.backend.streamed = async (request) => fakeStream(request, ['12345'], { bodyLength: 5 })
    const socket = await running.dial()
    socket.write(`GET ${RAW}?url=http://a.test/ HTTP/1.0\r\nHost: 127.0.0.1:${running.port}\r\n\r\n`)
    const { head, rest } = await readAll(socket)
    assert.match(head, /\r\ncontent-length: 5(\r\n|$)/)
    assert.doesNotMatch(head, /trailer|transfer-encoding/)
    assert.equal(rest, '12345')
  })

  it('has all of the receipt in headers when there is no body', async () => {
    await using test = await createTestApp()
    test.backend.streamed = async (request) => fakeStream(request, [], { status: 204, bodyLength: 0 })
    const { statusCode, headers } = await test.app.inject({ url: RAW, query: { url: 'http://a.test/' } })
    assert.equal(statusCode, 204)
    assert.equal(headers['cbtor-total-ms'], '10')
    assert.equal(headers.trailer, undefined)
    assert.equal(headers['content-length'], undefined)
  })

  it('is over at once for who asked for the head alone, whatever length that tells', async () => {
    await using running = await startServer()
    running.backend.streamed = async (request) =>
      fakeStream(request, [], { bodyLength: 0, headers: [['content-length', '5000']] })
    for (const version of ['1.1', '1.0']) {
      const socket = await running.dial()
      const query = `GET ${RAW}?url=http://a.test/&method=HEAD HTTP/${version}`
      socket.write(`${query}\r\nHost: 127.0.0.1:${running.port}\r\nConnection: close\r\n\r\n`)
      const { head, rest } = await readAll(socket)
      assert.match(head, /\r\ncontent-length: 0\r\n/)
      assert.match(head, /\r\ncbtor-target-content-length: 5000\r\n/)
      assert.match(head, /\r\ncbtor-bytes: /)
      assert.equal(rest, '')
    }
  })

  it('shows the head at once, reads no faster than its client, and ends the fetch when the client leaves', async () => {
    await using running = await startServer()
    const endless = createReadStream('/dev/zero')
    let passed = 0
    endless.on('data', (chunk) => {
      passed += chunk.length
    })
    endless.pause()
    const aborted = Promise.withResolvers<void>()
    const silent = new Readable({ read() {} })
    running.backend.streamed = async (request, signal) => {
      signal.addEventListener('abort', () => aborted.resolve())
      return fakeStream(request, request.url.endsWith('silent') ? silent : endless)
    }
    const waiting = await running.dial()
    waiting.write(post(running.port, RAW, { url: 'http://a.test/silent' }))
    assert.match(await read(waiting, '\r\n\r\n'), /CBTOR-Delivered: 1/i)

    const socket = await running.dial()
    socket.write(post(running.port, RAW, { url: 'http://a.test/' }))
    await read(socket, '\r\n\r\n')
    socket.pause()
    let before = -1
    while (before !== passed) {
      before = passed
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(passed < 64 * 1024 ** 2, `${passed} bytes`)
    socket.destroy()
    await aborted.promise
    if (!endless.destroyed) await once(endless, 'close')
  })

  it('keeps the connection for the next request of its client', async () => {
    await using running = await startServer()
    const socket = await running.dial()
    for (let n = 0; n < 2; n++) {
      socket.write(post(running.port, RAW, { url: 'http://a.test/' }))
      await read(socket, 'CBTOR-Truncated: false\r\n\r\n')
    }
  })
})
