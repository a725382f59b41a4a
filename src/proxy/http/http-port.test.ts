import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { describe, it } from 'node:test'
import type { BackendCall } from '../fake-backend.ts'
import { failure, okAnswer, untilAborted } from '../fake-backend.ts'
import { startPort, turn } from '../test-lab.ts'

const GET = 'GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\n\r\n'
/** More than the kernel keeps for a socket that nobody reads. */
const MANY_BYTES = Buffer.alloc(16 * 1024 * 1024, '.')
const basic = (text: string) => `Proxy-Authorization: Basic ${Buffer.from(text).toString('base64')}\r\n`

describe('absolute-form requests', { timeout: 20_000 }, () => {
  it('are forwarded, and their answers come back as they are', async () => {
    await using port = await startPort('http')
    port.backend.answer = async () => ({
      ...okAnswer('body', [
        ['X-Odd-CASE', '\u00e9'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ]),
      status: 418,
      statusText: 'Short and stout',
    })
    const client = await port.dial()
    client.send(
      'PURGE http://Example.com:8080/a?b#c HTTP/1.1\r\nHost: other.example\r\nX-b: 2\r\nx-A: 1\r\nX-b: 3\r\n\r\n',
    )
    const answer = await client.reads('body')
    assert.equal(
      answer,
      'HTTP/1.1 418 Short and stout\r\nContent-Length: 4\r\nX-Odd-CASE: \u00e9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: keep-alive\r\n\r\nbody',
    )
    const { request } = forwardOf(port.backend.calls)
    assert.deepEqual(
      [request.method, request.url, request.isolation, request.body],
      ['PURGE', 'http://Example.com:8080/a?b#c', 'destination', undefined],
    )
    assert.deepEqual(request.headers, [
      ['X-b', '2'],
      ['x-A', '1'],
      ['X-b', '3'],
    ])
  })

  it('go as whom the user name says', async () => {
    await using port = await startPort('http')
    port.backend.password = 'pw'
    const client = await port.dial()
    client.send(GET.replace('\r\n\r\n', `\r\n${basic('key-my-shop;country-de:pw')}\r\n`))
    await client.reads('hello')
    const { request } = forwardOf(port.backend.calls)
    assert.deepEqual([request.stickyKey, request.mode, request.exitRule], ['my-shop', 'sticky', { country: 'de' }])
    assert.deepEqual(request.headers, [])
  })

  it('carry bodies of known and of unknown length, and an Expect is met only when all else is right', async () => {
    await using port = await startPort('http')
    port.backend.answer = async ({ body }) => okAnswer(`got ${body ? await textOf(body) : 'none'}`)
    const client = await port.dial()
    client.send('POST http://example.com/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde')
    await client.reads('got abcde')
    client.send(
      'POST http://example.com/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nX: trailer\r\n\r\n',
    )
    await client.reads('got xyz')
    client.send('POST http://example.com/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    await client.reads('got none')
    client.send('PUT http://example.com/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    await client.reads('HTTP/1.1 100 Continue\r\n\r\n')
    client.send('123')
    await client.reads('got 123')
    const sent = port.backend.calls.map((call) => call.type === 'forward' && call.request.headers)
    assert.deepEqual(sent, [[['Content-Length', '5']], [], [['Content-Length', '0']], [['Content-Length', '3']]])

    client.send('PUT https://example.com/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    const all = await client.readsAll()
    assert.equal(all.split('100 Continue').length, 2)
    assert.match(all, /HTTP\/1\.1 400 [\s\S]*Connection: close[\s\S]*use_connect/i)
  })

  it('are answered in order when they are pipelined, one at a time', async () => {
    await using port = await startPort('http')
    let running = 0
    let most = 0
    port.backend.answer = async ({ url }) => {
      most = Math.max(most, ++running)
      for (let turns = 0; turns < 10; turns++) await turn()
      running--
      return okAnswer(`<${url.at(-1)}>`)
    }
    const client = await port.dial()
    client.send([...'abcdefgh'].map((name) => GET.replace('/a ', `/${name} `)).join(''))
    const text = await client.reads('<h>')
    assert.equal([...text.matchAll(/<(.)>/g)].map(([, name]) => name).join(''), 'abcdefgh')
    assert.equal(most, 1)
  })

  it('are not taken without end ahead of their answers', async () => {
    await using port = await startPort('http')
    port.backend.ready = untilAborted
    const client = await port.dial()
    client.send(GET.repeat(1_000))
    await client.closed
    await port.isQuiet()
    assert.equal(port.backend.calls.length, 1)
    assert.equal(port.clock.pending, 0)
  })

  it('are served to clients of HTTP/1.0, whose connection ends unless they ask for it to be kept', async () => {
    await using port = await startPort('http')
    const kept = await port.dial()
    kept.send('GET http://example.com/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    await kept.reads('hello')
    kept.send('GET http://example.com/ HTTP/1.0\r\n\r\n')
    assert.equal((await kept.readsAll()).split('hello').length, 3)

    port.backend.answer = async () => okAnswer(Readable.from([Buffer.from('of unknown '), Buffer.from('length')]))
    const streamed = await port.dial()
    streamed.send('GET http://example.com/ HTTP/1.0\r\n\r\n')
    assert.match(await streamed.readsAll(), /^HTTP\/1\.1 200 OK\r\nConnection: close\r\n\r\nof unknown length$/)
  })

  it('have answers without a body where HTTP has none', async () => {
    await using port = await startPort('http')
    const client = await port.dial()
    port.backend.answer = async () => ({ ...okAnswer(Readable.from([]), [['Content-Length', '10']]) })
    client.send(GET.replace('GET', 'HEAD'))
    await client.reads('Content-Length: 10\r\nConnection: keep-alive\r\n\r\n')
    port.backend.answer = async () => ({ ...okAnswer(Readable.from([])), status: 304, statusText: '' })
    client.send(GET)
    await client.reads('HTTP/1.1 304 \r\nConnection: keep-alive\r\n\r\n')
    port.backend.answer = async () => okAnswer('last')
    client.send(GET)
    await client.reads(/keep-alive\r\n\r\nlast$/)
  })

  it('get the head of an answer before its body, and each piece as it comes', async () => {
    await using port = await startPort('http')
    const body = new PassThrough()
    port.backend.answer = async () => okAnswer(body)
    const client = await port.dial()
    client.send(GET)
    await client.reads('Transfer-Encoding: chunked\r\n\r\n')
    body.write('one')
    await client.reads('3\r\none\r\n')
    body.end('two')
    await client.reads('3\r\ntwo\r\n0\r\n\r\n')
  })

  it('are read no faster than the target takes them, nor answered faster than the client reads', async () => {
    await using port = await startPort('http')
    const bodies: Readable[] = []
    port.backend.answer = async ({ body }, signal) => {
      if (body) bodies.push(body)
      return await untilAborted(signal)
    }
    const uploading = await port.dial()
    uploading.send('POST http://example.com/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n')
    const chunk = Buffer.alloc(1024 * 1024)
    let sent = 0
    while (sent < 64 && uploading.socket.write(chunk)) sent++
    for (let turns = 0; turns < 300 && uploading.socket.writableLength > 0; turns++) await turn()
    assert.ok(uploading.socket.writableLength > 0 || sent < 64)
    assert.ok((bodies[0]?.readableLength ?? 0) <= 256 * 1024)
    uploading.socket.resetAndDestroy()
    await port.clock.advance(337_500) // nobody reads of that socket, so only the idle limit finds out
    await port.isQuiet()

    let produced = 0
    const endless = new Readable({
      highWaterMark: 64 * 1024,
      read() {
        produced += chunk.length
        this.push(chunk)
      },
    })
    port.backend.answer = async () => okAnswer(endless)
    const downloading = await port.dial()
    downloading.socket.pause()
    downloading.send(GET)
    for (let turns = 0; turns < 300; turns++) await turn()
    const before = produced
    for (let turns = 0; turns < 100; turns++) await turn()
    assert.ok(produced - before < 16 * 1024 * 1024, `${produced}`)
    downloading.socket.destroy()
    await port.isQuiet()
    assert.ok(endless.destroyed)
  })
})

describe('refusals of the HTTP port', { timeout: 20_000 }, () => {
  it('have the fixed answer of each malformed request', async () => {
    await using port = await startPort('http')
    const post = 'POST http://example.com/ HTTP/1.1\r\nHost: a\r\n'
    const cases = [
      ['origin form', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'url_invalid'],
      ['TLS by the proxy', 'GET https://example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'use_connect'],
      ['another scheme', 'GET ftp://example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'scheme_not_allowed'],
      ['TRACE', 'TRACE http://example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'method_not_allowed'],
      ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'method_not_allowed'],
      [
        'Max-Forwards',
        'GET http://a.example/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n',
        405,
        'method_not_allowed',
      ],
      ['length and coding', `${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`, 400, 'http_invalid'],
      ['an unknown coding', `${post}Transfer-Encoding: xchunked\r\n\r\n{}`, 400, 'http_invalid'],
      ['two lengths', `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400, 'http_invalid'],
      ['a signed length', `${post}Content-Length: +5\r\n\r\nabcde`, 400, 'http_invalid'],
      ['a space before the colon', `${post}X-A : 1\r\n\r\n`, 400, 'http_invalid'],
      ['a folded header', `${post}X-A: 1\r\n 2\r\n\r\n`, 400, 'http_invalid'],
      ['a bare line feed', 'GET http://a.example/ HTTP/1.1\nHost: a\n\n', 400, 'http_invalid'],
      ['two hosts', 'GET http://a.example/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400, 'http_invalid'],
      ['no HTTP', 'hello\r\n\r\n', 400, 'http_invalid'],
      ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'http_invalid'],
      ['SOCKS5', '\x05\x01\x00', 400, 'http_invalid'],
      ['another version', 'GET http://a.example/ HTTP/2.0\r\n\r\n', 400, 'http_invalid'],
      [
        'a coding of HTTP/1.0',
        'POST http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
        400,
        'http_invalid',
      ],
      ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'http_invalid'],
      [
        'a miracle',
        'GET http://a.example/ HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n',
        417,
        'expectation_failed',
      ],
      [
        'large headers',
        `GET http://a.example/ HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
        431,
        'request_headers_too_large',
      ],
      [
        'many headers',
        `GET http://a.example/ HTTP/1.1\r\n${'X: 1\r\n'.repeat(129)}\r\n`,
        431,
        'request_headers_too_large',
      ],
      ['bad credentials', `${post}Proxy-Authorization: Basic !!!\r\n\r\n`, 407, 'proxy_auth_required'],
      ['two credentials', `${post}${basic(':x')}${basic(':x')}\r\n`, 407, 'proxy_auth_required'],
      ['Bearer', `${post}Proxy-Authorization: Bearer x\r\n\r\n`, 407, 'proxy_auth_required'],
      ['an unknown user name', `${post}${basic('alice:x')}\r\n`, 400, 'user_name_invalid'],
      ['an unknown worker', `${post}${basic('worker-9:x')}\r\n`, 404, 'worker_not_found'],
      ['CONNECT without a port', 'CONNECT example.com HTTP/1.1\r\n\r\n', 400],
      ['CONNECT to port 0', 'CONNECT example.com:0 HTTP/1.1\r\n\r\n', 400, 'port_invalid'],
      ['CONNECT to port 99999', 'CONNECT example.com:99999 HTTP/1.1\r\n\r\n', 400, 'port_invalid'],
      ['CONNECT to half an address', 'CONNECT [::1 HTTP/1.1\r\n\r\n', 400],
      ['CONNECT to a URL', 'CONNECT http://h:443 HTTP/1.1\r\n\r\n', 400],
      ['CONNECT with a path', 'CONNECT h:443 /x HTTP/1.1\r\n\r\n', 400],
      ['CONNECT with a user', 'CONNECT u:p@h:443 HTTP/1.1\r\n\r\n', 400],
      ['CONNECT with bad credentials', 'CONNECT h.example:443 HTTP/1.1\r\nProxy-Authorization: Basic !\r\n\r\n', 407],
    ] as const
    for (const [name, bytes, status, code = ''] of cases) {
      const client = await port.dial()
      client.send(bytes)
      client.socket.end()
      const answer = await client.readsAll()
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*"status":${status},"code":"${code}`), name)
    }
    await port.isQuiet()
    assert.deepEqual(port.backend.calls, [])
    assert.equal(port.clock.pending, 0)
    assert.deepEqual(
      port.logger.lines.filter(({ level }) => level !== 'debug'),
      [],
    )
  })

  it('ask for credentials before anything else is looked at', async () => {
    await using port = await startPort('http')
    port.backend.password = 'pw'
    const requests = [
      GET,
      'GET / HTTP/1.1\r\n\r\n',
      'TRACE http://a.example/ HTTP/1.1\r\n\r\n',
      'CONNECT nothing HTTP/1.1\r\n\r\n',
      'CONNECT a.example:443 HTTP/1.1\r\n\r\n',
    ]
    for (const request of requests) {
      for (const credentials of ['', basic('worker-9:wrong'), basic(':PW')]) {
        const client = await port.dial()
        client.send(request.replace('\r\n\r\n', `\r\n${credentials}\r\n`))
        assert.match(
          await client.reads('"}'),
          /^HTTP\/1\.1 407 Proxy Authentication Required\r\n[\s\S]*\r\nProxy-Authenticate: Basic realm="cbtor"\r\n/,
        )
      }
    }
    assert.deepEqual(port.backend.calls, [])
  })

  it('ask for the key again with each request of a connection', async () => {
    await using port = await startPort('http')
    port.backend.password = 'pw'
    const client = await port.dial()
    const good = GET.replace('\r\n\r\n', `\r\n${basic(':pw')}\r\n`)
    client.send(good)
    await client.reads('hello')
    client.send(GET)
    await client.reads(/ 407 [\s\S]*"}/)
    client.send(good)
    await client.reads(/hello[\s\S]*hello/)
    port.backend.revoke()
    client.send(good)
    await client.reads(/ 407 [\s\S]* 407 [\s\S]*"}/)
    assert.equal(port.backend.calls.length, 2)
    assert.equal(port.backend.onRevoked.size, 0)
  })

  it('end when their key is revoked, before their answer and in the middle of it', async () => {
    await using port = await startPort('http')
    port.backend.ready = untilAborted
    const waiting = await port.dial()
    waiting.send(GET)
    while (port.backend.calls.length < 1) await turn()
    port.backend.ready = async () => {}
    const body = new PassThrough()
    port.backend.answer = async () => okAnswer(body)
    const reading = await port.dial()
    reading.send(GET)
    body.write('some')
    await reading.reads('some')
    port.backend.revoke()
    await waiting.reads(/^HTTP\/1\.1 407 [\s\S]*the key was revoked/)
    assert.equal(await reading.closed, 'reset')
    assert.equal(port.backend.onRevoked.size, 0)
  })

  it('leave the connection usable where the next request can be told', async () => {
    await using port = await startPort('http')
    const client = await port.dial()
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.reads('"}')
    client.send('POST https://example.com/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n')
    await client.reads('use_connect')
    client.send('x'.repeat(300_000))
    client.send(GET)
    await client.reads('hello')
  })

  it('are seen also by clients that read nothing before they have sent a large body', async () => {
    await using port = await startPort('http')
    port.backend.answer = failure('target_forbidden')
    const client = await port.dial()
    client.socket.pause()
    client.send(`POST http://example.com/ HTTP/1.1\r\nContent-Length: ${MANY_BYTES.length}\r\n\r\n`)
    await new Promise((resolve) => client.socket.write(MANY_BYTES, resolve))
    port.backend.answer = async () => okAnswer('hello')
    client.send(GET)
    client.socket.resume()
    assert.match(await client.reads('hello'), /^HTTP\/1\.1 403 [\s\S]*HTTP\/1\.1 200 /)
  })

  it('are problems that a client can tell from the target’s own answers', async () => {
    await using port = await startPort('http')
    const client = await port.dial()
    port.backend.ready = failure('connection_refused')
    client.send(GET)
    const ours = await client.reads('"}')
    assert.match(ours, /^HTTP\/1\.1 502 Bad Gateway\r\nContent-Type: application\/problem\+json\r\n/)
    assert.match(ours, /\r\nProxy-Status: cbtor; error=connection_refused; details="connection_refused"\r\n/)
    const problem = JSON.parse(ours.slice(ours.indexOf('{')))
    assert.deepEqual(Object.keys(problem), [
      'type',
      'title',
      'status',
      'code',
      'detail',
      'fault',
      'retryable',
      'request_id',
    ])
    assert.deepEqual(
      [problem.type, problem.fault, problem.retryable],
      ['/problems/connection_refused', 'target', false],
    )

    port.backend.ready = async () => {}
    port.backend.answer = async () =>
      okAnswer('forged', [
        ['Proxy-Status', 'cbtor; error=dns_error'],
        ['X-CBTOR-Error', 'x'],
        ['Proxy-Authenticate', 'Basic realm="steal"'],
      ])
    client.send(GET)
    const theirs = (await client.reads('forged')).slice(ours.length)
    assert.doesNotMatch(theirs, /proxy-status|x-cbtor|proxy-auth/i)
  })

  it('say when a retry makes sense, and show what a bug is only to the log', async () => {
    await using port = await startPort('http')
    const { CbtorError } = await import('../../domain/errors.ts')
    port.backend.ready = async () => {
      const attempts = [{ worker: 'tor01', outcome: 'tor_failure', ms: 1.2345 }] as const
      throw new CbtorError('no_worker', 'Cannot reach the target: no worker', { retryAfterMs: 1_200, attempts })
    }
    const client = await port.dial()
    client.send(GET)
    assert.match(
      await client.reads('}]}'),
      /^HTTP\/1\.1 503 [\s\S]*Retry-After: 2\r\n[\s\S]*"attempts":\[{"worker":"tor01","outcome":"tor_failure","ms":1.23}\]/,
    )
    port.backend.ready = async () => {
      throw new TypeError('secret.example is not a function')
    }
    client.send(GET)
    assert.match(await client.reads('"internal"'), /HTTP\/1\.1 500 /)
    assert.doesNotMatch(client.text + JSON.stringify(port.logger.lines), /secret\.example/)
    assert.equal(port.logger.lines.filter(({ level }) => level === 'error').length, 1)
  })

  it('are given for answers of a target that cannot be passed on', async () => {
    await using port = await startPort('http')
    const client = await port.dial()
    for (const answer of [
      { status: 101 },
      { status: 0 },
      { headers: [['X\n', 'a']] },
      { headers: [['X', 'a\r\nb: c']] },
    ] as const) {
      client.received = Buffer.alloc(0)
      port.backend.answer = async () => ({ ...okAnswer('x'), ...answer })
      client.send(GET)
      assert.match(await client.reads('"}'), /^HTTP\/1\.1 502 [\s\S]*bad_response/)
    }
  })
})

function forwardOf(calls: readonly BackendCall[]) {
  const call = calls.at(-1)
  assert.ok(call?.type === 'forward')
  return call
}

async function textOf(body: Readable): Promise<string> {
  let text = ''
  for await (const chunk of body) text += chunk
  return text
}
