import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import { wasNotSent } from '../domain/was-sent.ts'
import { createFetchLab } from './test-fetch-lab.ts'
import { bodyOf, EXIT, fetchRequest, makeCertificate, TestServer } from './test-lab.ts'

describe('fetch()', { timeout: 30_000 }, () => {
  const certificate = makeCertificate()

  it('answers with what the target sent, the worker, the exit and the time it took', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => {
      response.writeHead(
        418,
        'Teapot',
        [
          ['X-One', '1'],
          ['x-two', 'é'],
          ['Keep-Alive', 'timeout=9'],
          ['Set-Cookie', 'a=1'],
        ].flat(),
      )
      response.end('short and stout')
    })
    const answer = await lab.fetch('http://A.test./path?query')
    const { body, timing, headers, bytes, ...rest } = answer
    assert.equal(Buffer.from(body).toString(), 'short and stout')
    assert.deepEqual(
      headers.filter(([name]) => name !== 'date'),
      [
        ['x-one', '1'],
        ['x-two', '\u00e9'],
        ['set-cookie', 'a=1'],
      ],
    )
    assert.deepEqual(rest, {
      url: 'http://a.test/path?query',
      status: 418,
      statusText: 'Teapot',
      redirects: [],
      identity: 'destination',
      worker: 'w1',
      route: 'socks',
      exit: EXIT,
      connectionReused: false,
      attempts: [{ worker: 'w1', outcome: 'ok', ms: 0 }],
      truncated: false,
    })
    assert.equal(bytes.decoded, 'short and stout'.length)
    assert.ok(bytes.received > bytes.decoded && bytes.sent > 0, JSON.stringify(bytes))
    assert.deepEqual(timing, { queueMs: 0, connectMs: 0, tlsMs: 0, firstByteMs: 0, bodyMs: 0, totalMs: 0 })
    assert.deepEqual(lab.workers.reports, [['w1', 'ok']])
    assert.equal(lab.workers.leases, 0)
    assert.deepEqual(lab.workers.selections, [{ key: 'a.test' }])
  })

  it('tells apart where the time went', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', async (_, response) => {
      await lab.clock.advance(100)
      response.flushHeaders()
      await lab.clock.advance(30)
      response.end('x')
    })
    const { timing } = await lab.fetch('http://a.test/')
    assert.deepEqual(
      { ...timing, firstByteMs: 0, bodyMs: 0 },
      { ...timing, queueMs: 0, connectMs: 0, tlsMs: 0, firstByteMs: 0, bodyMs: 0, totalMs: 130 },
    )
    assert.equal(timing.firstByteMs + timing.bodyMs, 130)
  })

  it('puts exactly these bytes on the wire', async () => {
    await using lab = await createFetchLab()
    const seen = await lab.capture('a.test:8080')
    await lab.fetch('http://a.test:8080/x?y#z', {
      headers: [
        ['X-Mine', '1'],
        ['Accept-Language', 'de'],
      ],
    })
    await lab.fetch('http://a.test:8080/', { method: 'POST', body: Buffer.from('ab') })
    const neutral = [
      'user-agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0',
      'accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    ]
    const lines = (...all: string[]) => `${all.join('\r\n')}\r\n\r\n`
    assert.deepEqual(seen, [
      lines(
        'GET /x?y HTTP/1.1',
        'host: a.test:8080',
        'connection: keep-alive',
        ...neutral,
        'accept-language: de',
        'accept-encoding: gzip, deflate, br, zstd',
        'x-mine: 1',
      ),
      `${lines('POST / HTTP/1.1', 'host: a.test:8080', 'connection: keep-alive', ...neutral, 'accept-language: en-US,en;q=0.5', 'accept-encoding: gzip, deflate, br, zstd', 'content-length: 2')}ab`,
    ])
  })

  it('fetches over TLS, and undoes the content coding with its headers', async () => {
    await using lab = await createFetchLab(certificate.cert)
    const server = await TestServer.https(certificate, (_, response) => {
      const body = gzipSync('hello')
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length, etag: 'x' }).end(body)
    })
    lab.use('a.test:443', server)
    const answer = await lab.fetch('https://a.test/')
    assert.equal(Buffer.from(answer.body).toString(), 'hello')
    assert.deepEqual(
      answer.headers.map(([name]) => name).filter((name) => /^content|etag/.test(name)),
      ['etag'],
    )
  })

  it('sends no cookie and no validator that it was given before', async () => {
    await using lab = await createFetchLab()
    const seen: string[][] = []
    await lab.serve('a.test:80', (request, response) => {
      seen.push(request.rawHeaders)
      response.writeHead(200, { 'set-cookie': 'sid=1', etag: '"supercookie"', 'www-authenticate': 'Basic' }).end()
    })
    for (let n = 0; n < 3; n++) await lab.fetch('http://a.test/', { stickyKey: 'me' })
    assert.equal(seen.length, 3)
    assert.deepEqual(seen[2], seen[0])
  })

  it('reads no body where there is none', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (request, response) => {
      response.writeHead(Number(request.url?.slice(1)), { 'content-length': '1000000000' }).end()
    })
    for (const [method, path] of [
      ['HEAD', '200'],
      ['GET', '204'],
      ['GET', '304'],
    ] as const) {
      const answer = await lab.fetch(`http://a.test/${path}`, { method })
      assert.equal(answer.status, Number(path))
      assert.equal(answer.body.length, 0)
    }
  })

  it('keeps a connection for idempotent methods, and takes a fresh one for all others', async () => {
    await using lab = await createFetchLab()
    const server = await lab.serve('a.test:80', async (request, response) => void response.end(await bodyOf(request)))
    const reused: boolean[] = []
    for (const method of ['GET', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      reused.push((await lab.fetch('http://a.test/', { method, workerId: 'w1' })).connectionReused)
    }
    assert.deepEqual(reused, [false, true, false, true, false, true])
    assert.equal(server.accepted, 3)
  })

  it('lets nobody else have a connection before its answer is complete with its exit', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('x'))
    const asked = Promise.withResolvers<void>()
    const told = Promise.withResolvers<undefined>()
    lab.workers.askExit = () => {
      asked.resolve()
      return told.promise
    }
    const first = lab.fetch('http://a.test/', { workerId: 'w1' })
    await asked.promise
    lab.workers.askExit = async () => EXIT
    assert.equal((await lab.fetch('http://a.test/', { workerId: 'w1' })).connectionReused, false)
    told.resolve(undefined)
    assert.equal((await first).exit, undefined)
    assert.equal((await first).connectionReused, false)
    assert.equal((await lab.fetch('http://a.test/', { workerId: 'w1' })).connectionReused, true)
  })

  it('uses a fresh connection when the kept one turns out to be dead, and counts no attempt', async () => {
    await using lab = await createFetchLab()
    const server = await TestServer.tcp((socket) => {
      // Answers once; a second request on the same connection finds it closed.
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
        socket.once('data', () => socket.resetAndDestroy())
      })
    })
    lab.use('a.test:80', server)
    for (let n = 0; n < 3; n++) {
      const answer = await lab.fetch('http://a.test/', { workerId: 'w1' })
      assert.deepEqual(answer.attempts, [{ worker: 'w1', outcome: 'ok', ms: 0 }])
      assert.equal(answer.connectionReused, false)
    }
    assert.equal(server.accepted, 3)
  })

  it('follows redirects as one identity on one worker, and tells them', async () => {
    await using lab = await createFetchLab()
    const seen: string[] = []
    await lab.serve('a.test:80', async (request, response) => {
      seen.push(`${request.method} a${request.url} ${request.headers.cookie ?? '-'} ${await bodyOf(request)}`)
      if (request.url === '/1') response.writeHead(303, { location: '/2' }).end('bye')
      else response.writeHead(302, { location: 'http://b.test/3' }).end()
    })
    await lab.serve('b.test:80', (request, response) => {
      seen.push(`${request.method} b${request.url} ${request.headers.cookie ?? '-'}`)
      response.end('there')
    })
    const post: Partial<FetchRequest> = { method: 'POST', body: Buffer.from('body'), headers: [['cookie', 'c']] }
    const answer = await lab.fetch('http://a.test/1', post)
    assert.deepEqual(seen, ['POST a/1 c body', 'GET a/2 c ', 'GET b/3 -'])
    assert.equal(answer.url, 'http://b.test/3')
    assert.deepEqual(answer.redirects, [
      { status: 303, from: 'http://a.test/1', to: 'http://a.test/2' },
      { status: 302, from: 'http://a.test/2', to: 'http://b.test/3' },
    ])
    assert.equal(new Set(lab.workers.dials.map(({ token, worker }) => token + worker)).size, 1)
    assert.equal(lab.workers.dials.length, 2, 'the second hop used the connection of the first')
    assert.equal(answer.attempts.length, 1)

    const unfollowed = await lab.fetch('http://a.test/1', { followRedirects: false })
    assert.equal(unfollowed.status, 303)
    assert.equal(Buffer.from(unfollowed.body).toString(), 'bye')
  })

  it('ends a loop of redirects, and refuses one that leads astray', async () => {
    await using lab = await createFetchLab()
    let requests = 0
    await lab.serve('a.test:80', (request, response) => {
      requests++
      response
        .writeHead(302, { location: request.url === '/loop' ? '/loop' : 'http://127.0.0.1/' })
        .end('x'.repeat(100_000))
    })
    const looping = await lab.fails('http://a.test/loop', 'redirect_limit')
    assert.equal(requests, 11)
    assert.deepEqual(looping.attempts, [{ worker: 'w1', outcome: 'ok', ms: 0 }])
    const loop = { status: 302, from: 'http://a.test/loop', to: 'http://a.test/loop' }
    assert.deepEqual(looping.redirects, Array(10).fill(loop))
    const unfollowed = await lab.fails('http://a.test/loop', 'redirect_limit', { maxRedirects: 0 })
    assert.deepEqual(unfollowed.redirects, [])
    assert.deepEqual((await lab.fails('http://a.test/astray', 'redirect_forbidden')).redirects, [])
    assert.equal(lab.workers.leases, 0)
    assert.ok(lab.workers.dials.every(({ target }) => target.host === 'a.test'))
  })

  it('tells the redirects that it had followed when a later hop fails', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.writeHead(307, { location: 'http://b.test/' }).end())
    const redirects = [{ status: 307, from: 'http://a.test/', to: 'http://b.test/' }]
    assert.deepEqual((await lab.fails('http://a.test/', 'resolve_failed')).redirects, redirects)
    await lab.serve('b.test:80', (_, response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end())
    assert.deepEqual((await lab.fails('http://a.test/', 'redirect_forbidden')).redirects, redirects)
  })

  it('hands on a part of a coded body as it is, and asks for parts uncoded', async () => {
    await using lab = await createFetchLab()
    const part = gzipSync('x'.repeat(10_000)).subarray(10, 20)
    await lab.serve('a.test:80', (request, response) => {
      const asked = String(request.headers['accept-encoding'])
      if (asked === 'identity') return void response.writeHead(206, { 'content-range': 'bytes 0-3/9' }).end('part')
      response.writeHead(206, { 'content-encoding': asked, 'content-range': 'bytes 10-19/50' }).end(part)
    })
    const range = ['range', 'bytes=10-19'] as const
    const plain = await lab.fetch('http://a.test/', { headers: [range] })
    assert.equal(Buffer.from(plain.body).toString(), 'part')

    const coded = await lab.fetch('http://a.test/', { headers: [range, ['accept-encoding', 'gzip']] })
    assert.deepEqual(Buffer.from(coded.body), part)
    assert.deepEqual(
      coded.headers.filter(([name]) => name.startsWith('content-')),
      [
        ['content-encoding', 'gzip'],
        ['content-range', 'bytes 10-19/50'],
      ],
    )
  })

  it('takes an early hint for what it is, and a body that ends with the connection', async () => {
    await using lab = await createFetchLab()
    const hint = 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.0 200 OK\r\n\r\nhello'
    lab.use('a.test:80', await TestServer.tcp((socket) => socket.once('data', () => socket.end(hint))))
    const answer = await lab.fetch('http://a.test/')
    assert.equal(answer.status, 200)
    assert.equal(Buffer.from(answer.body).toString(), 'hello')
  })

  it('tells of a POST that its signal cut off that it may have been sent', async () => {
    await using lab = await createFetchLab()
    const arrived = Promise.withResolvers<void>()
    await lab.serve('a.test:80', () => arrived.resolve())
    const limits = new AbortController()
    const fetching = lab.fetcher.fetch(fetchRequest('http://a.test/', { method: 'POST' }), limits.signal)
    await arrived.promise
    limits.abort(new CbtorError('quota_exceeded', 'Cannot go on: no more bytes', { retryAfterMs: 5_000 }))
    const error: CbtorError = await fetching.then(
      () => assert.fail(),
      (reason) => reason,
    )
    assert.deepEqual([error.code, error.retryAfterMs, wasNotSent(error)], ['quota_exceeded', 5_000, false])
    assert.deepEqual(
      error.attempts.map(({ outcome }) => outcome),
      ['quota_exceeded'],
    )
    assert.ok((error.receipt?.bytes.sent ?? 0) > 0)
  })
})
