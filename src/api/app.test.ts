import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ANYBODY } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { FailureReceipt } from '../domain/exchange.ts'
import { fakeAnswer } from './fake-backend.ts'
import { createTestApp } from './test-app.ts'

describe('POST /api/v1/fetch', () => {
  it("answers the original's first sample: the worker is a string, the body is the target's", async () => {
    await using test = await createTestApp()
    const response = await test.app.inject({
      method: 'POST',
      url: '/api/v1/fetch',
      payload: { url: 'https://check.torproject.org/api/ip' },
    })
    assert.equal(response.statusCode, 200)
    assert.deepEqual(response.json(), {
      url: 'https://check.torproject.org/api/ip',
      status: 200,
      status_text: 'OK',
      headers: { 'content-type': 'application/json' },
      body: '{"IsTor":true}',
      body_encoding: 'text',
      worker: 'tor01',
      receipt: {
        worker: 'tor01',
        route: 'socks',
        identity: 'destination',
        exit: { nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.7', country: 'de' },
        connection_reused: false,
        session_moved: false,
        hedged: false,
        redirects: [],
        attempts: [{ worker: 'tor01', outcome: 'ok', ms: 5 }],
        timing: { queue_ms: 0.13, connect_ms: 1, tls_ms: 2, first_byte_ms: 3, body_ms: 4, total_ms: 10 },
        bytes: { received: 700, sent: 300, decoded: 14 },
        truncated: false,
      },
    })
    assert.deepEqual(test.backend.requests, [
      {
        caller: ANYBODY,
        url: 'https://check.torproject.org/api/ip',
        method: 'GET',
        headers: [],
        timeoutMs: 60_000,
        maxBytes: 10_485_760,
        followRedirects: true,
        maxRedirects: 10,
        allowDowngrade: false,
        allowOnionToClearnet: false,
        isolation: 'destination',
        via: 'fetch',
      },
    ])
  })

  it("takes the original's second sample, and a sticky key alone for the same", async () => {
    await using test = await createTestApp()
    const sample = { url: 'https://example.com/login', mode: 'sticky', sticky_key: 'my-session-123' }
    for (const payload of [sample, { url: sample.url, sticky_key: sample.sticky_key }]) {
      assert.equal((await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })).statusCode, 200)
    }
    for (const request of test.backend.requests) {
      assert.equal(request.mode, 'sticky')
      assert.equal(request.stickyKey, 'my-session-123')
    }
  })

  it('passes every field on', async () => {
    await using test = await createTestApp()
    const response = await test.app.inject({
      method: 'POST',
      url: '/api/v1/fetch',
      payload: {
        url: 'http://example.com/',
        method: 'post',
        headers: { Accept: 'text/html', 'X-A': ['1', '2'], constructor: 'a plain name', 'user-agent': null },
        body: '/wA=',
        body_encoding: 'base64',
        timeout_ms: 500,
        max_bytes: 1,
        allow_truncated: true,
        circuit_path: true,
        follow_redirects: false,
        max_redirects: 0,
        allow_downgrade: true,
        allow_onion_to_clearnet: true,
        mode: 'failover',
        isolation: 'request',
        worker: 3,
        response_encoding: 'base64',
      },
    })
    assert.equal(response.json().body, Buffer.from('{"IsTor":true}').toString('base64'))
    assert.deepEqual(test.backend.requests, [
      {
        caller: ANYBODY,
        url: 'http://example.com/',
        method: 'POST',
        headers: [
          ['Accept', 'text/html'],
          ['X-A', '1'],
          ['X-A', '2'],
          ['constructor', 'a plain name'],
        ],
        withoutHeaders: ['user-agent'],
        body: Buffer.from([0xff, 0x00]),
        timeoutMs: 500,
        maxBytes: 1,
        allowTruncated: true,
        circuitPath: true,
        followRedirects: false,
        maxRedirects: 0,
        allowDowngrade: true,
        allowOnionToClearnet: true,
        isolation: 'request',
        mode: 'failover',
        workerId: 'tor03',
        via: 'fetch',
      },
    ])
  })

  it('passes on which exits may be used', async () => {
    await using test = await createTestApp()
    const post = (payload: object) => test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })
    const url = 'http://a.test/'
    await post({ url, country: 'de' })
    await post({ url, exclude_countries: ['us', 'gb'], distinct_from: 'other', sticky_key: 'a' })
    assert.deepEqual(
      test.backend.requests.map(({ exitRule }) => exitRule),
      [{ country: 'de' }, { excludeCountries: ['us', 'gb'], distinctFrom: 'other' }],
    )
    for (const code of ['no_exit_for_country_port', 'exit_rule_unsupported'] as const) {
      test.backend.answer = async () => {
        throw new CbtorError(code, 'Cannot choose an exit: there is none')
      }
      const response = await post({ url, country: 'de' })
      assert.deepEqual([response.statusCode, response.json().code], [422, code])
    }
  })

  it('passes on what a session is to do when its worker is lost, and tells that it moved', async () => {
    await using test = await createTestApp()
    test.backend.answer = async (request) => fakeAnswer(request, { sessionMoved: true })
    const payload = { url: 'http://a.test/', sticky_key: 'a', on_loss: 'fail', session_ttl_s: 60 }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })
    assert.equal(response.json().receipt.session_moved, true)
    const [request] = test.backend.requests
    assert.equal(request?.onLoss, 'fail')
    assert.equal(request?.sessionTtlMs, 60_000)
  })

  it('answers 409 when the worker of such a session is lost', async () => {
    await using test = await createTestApp()
    test.backend.answer = async () => {
      throw new CbtorError('session_worker_lost', 'Cannot fetch: the worker of the session is lost')
    }
    const payload = { url: 'http://a.test/', sticky_key: 'a', on_loss: 'fail' }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })
    assert.equal(response.statusCode, 409)
    assert.equal(response.json().code, 'session_worker_lost')
  })

  it('tells the path of the circuit when it is asked for, and that nobody knows it', async () => {
    await using test = await createTestApp()
    const fingerprint = 'B'.repeat(40)
    const exit = { nickname: 'exit1', fingerprint: 'A'.repeat(40), country: 'de' }
    const paths = [[{ nickname: 'guard1', fingerprint, country: 'se' }, exit], undefined]
    const payload = { url: 'http://a.test/', circuit_path: true }
    const told: unknown[] = []
    for (const circuitPath of paths) {
      test.backend.answer = async (request) => fakeAnswer(request, { circuitPath })
      told.push((await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })).json().receipt.circuit_path)
    }
    assert.deepEqual(told, [[{ nickname: 'guard1', fingerprint, country: 'se' }, exit], null])
  })

  it('hedges when it is told to', async () => {
    await using test = await createTestApp()
    test.backend.answer = async (request) => fakeAnswer(request, { hedged: request.hedge === true })
    for (const hedge of [true, false]) {
      const payload = { url: 'http://a.test/', method: 'HEAD', hedge }
      const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })
      assert.equal(response.json().receipt.hedged, hedge)
    }
  })

  it('joins repeated headers, lists cookies, and is not confused by names of the language', async () => {
    await using test = await createTestApp()
    test.backend.answer = async (request) =>
      fakeAnswer(request, {
        status: 404,
        exit: undefined,
        headers: [
          ['vary', 'a'],
          ['set-cookie', 'a=1'],
          ['vary', 'b'],
          ['set-cookie', 'b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT'],
          ['constructor', 'c'],
          ['__proto__', 'p'],
        ],
      })
    const response = await test.app.inject({
      method: 'POST',
      url: '/api/v1/fetch',
      payload: { url: 'http://a.onion/' },
    })
    assert.equal(response.statusCode, 200)
    const { status, receipt, headers } = JSON.parse(response.body)
    assert.equal(status, 404)
    assert.equal(receipt.exit, null)
    assert.deepEqual(headers, {
      vary: 'a, b',
      'set-cookie': ['a=1', 'b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT'],
      constructor: 'c',
    })
  })
})

describe('the routes about workers', () => {
  it('show the pool, each worker by number and by id, and the check endpoints', async () => {
    await using test = await createTestApp()
    const get = async (url: string) => (await test.app.inject({ url })).json()
    assert.deepEqual(await get('/healthz'), { status: 'ok' })
    assert.deepEqual(
      (await get('/api/v1/health')).workers.map(({ id }: { id: string }) => id),
      ['tor01', 'tor02', 'tor03', 'tor04'],
    )
    assert.equal((await get('/api/v1/tor/workers')).workers.length, 4)
    const inspected = await get('/api/v1/tor/workers/2')
    assert.deepEqual(inspected, await get('/api/v1/tor/workers/tor02'))
    const [, worker] = (await get('/api/v1/tor/workers')).workers
    assert.deepEqual({ ...inspected, ...worker }, inspected)
    assert.deepEqual(worker, {
      id: 'tor02',
      n: 2,
      kind: 'fake',
      desired: 'enabled',
      state: 'healthy',
      since: '1970-01-01T00:00:00.000Z',
      consecutive_failures: 0,
      receives_traffic: true,
      process: { state: 'running', pid: 1_002, started_at: '1970-01-01T00:00:00.000Z' },
      bootstrap: { progress: 100, tag: 'done', summary: 'Done' },
      tor_version: '0.4.9.11',
      leases: 2,
      problem: null,
      last_check: { at: '1970-01-01T00:00:00.000Z', ok: true, latency_ms: 12.5, error: null },
      last_recovery: {
        at: '1970-01-01T00:00:00.000Z',
        ok: false,
        steps: [{ name: 'restart-tor', ok: false, skipped: false, ms: 1.23, error: 'no answer' }],
      },
      next_action: { type: 'probe', at: '1970-01-01T00:00:01.000Z', reason: null },
      requests: 10,
      failures: 1,
    })
    assert.equal((await get('/api/v1/tor/status')).workers.by_state.healthy, 4)
    const [endpoint] = (await get('/api/v1/endpoints')).endpoints
    assert.deepEqual(endpoint.latency_ms, { p50: 10, p95: 20 })
    assert.equal(endpoint.workers[0].latency_ms, null)
  })

  it('carry out orders and answer with the worker as it is then', async () => {
    await using test = await createTestApp()
    const post = async (url: string, payload?: object) => {
      const response = await test.app.inject({ method: 'POST', url, ...(payload && { payload }) })
      assert.equal(response.statusCode, 200, `${url}: ${response.body}`)
      return response.json()
    }
    assert.equal((await post('/api/v1/tor/workers/1/tor/stop')).desired, 'stopped')
    assert.equal((await post('/api/v1/tor/workers/tor01/tor/start', {})).desired, 'enabled')
    await post('/api/v1/tor/workers/1/tor/restart')
    await post('/api/v1/tor/workers/1/reboot')
    assert.equal((await post('/api/v1/workers/drain', { worker: 'tor02' })).desired, 'drained')
    await post('/api/v1/workers/drain', { worker: 3, force: true })
    assert.equal((await post('/api/v1/workers/enable', { worker: '3' })).receives_traffic, true)
    assert.equal((await post('/api/v1/mode', { mode: 'failover' })).mode, 'failover')
    assert.equal((await test.app.inject({ url: '/api/v1/mode' })).json().mode, 'failover')
    assert.deepEqual(test.backend.calls, [
      'stopTor tor01',
      'startTor tor01',
      'restartTor tor01',
      'rebootHost tor01',
      'drain tor02',
      'drain --force tor03',
      'enable tor03',
      'setMode failover',
    ])
  })

  it('take an empty body with a content type, as some clients send it', async () => {
    await using test = await createTestApp()
    const headers = { 'content-type': 'application/json' }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/tor/workers/1/tor/start', headers })
    assert.equal(response.statusCode, 200)
  })
})

describe('GET /api/v1/health', () => {
  it('tells what is wrong at present, and what will be done about each worker', async () => {
    await using test = await createTestApp()
    test.backend.openProblems = [
      { code: 'worker_dead', severity: 'warn', text: 'tor01 is dead', worker: 'tor01', since: 0 },
      { code: 'no_worker', severity: 'error', text: 'No worker is left', worker: undefined, since: 1_000 },
    ]
    const { problems, workers } = (await test.app.inject({ url: '/api/v1/health' })).json()
    assert.deepEqual(problems, [
      {
        code: 'worker_dead',
        severity: 'warn',
        text: 'tor01 is dead',
        since: '1970-01-01T00:00:00.000Z',
        worker: 'tor01',
      },
      {
        code: 'no_worker',
        severity: 'error',
        text: 'No worker is left',
        since: '1970-01-01T00:00:01.000Z',
        worker: null,
      },
    ])
    assert.deepEqual(workers[0].next_action, { type: 'probe', at: '1970-01-01T00:00:01.000Z', reason: null })
  })
})

describe('GET /metrics', () => {
  it('answers in the format of Prometheus', async () => {
    await using test = await createTestApp()
    const response = await test.app.inject({ url: '/metrics' })
    assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    assert.equal(response.body, 'cbtor_requests_total 1\n')
  })
})

describe('problems', () => {
  it('tell code, fault, attempts, redirects and when to try again', async () => {
    await using test = await createTestApp()
    test.backend.answer = async () => {
      const attempts = [{ worker: 'tor01', outcome: 'tor_timeout', ms: 7 }] as const
      const redirects = [{ status: 302, from: 'http://a.test/', to: 'http://b.test/' }]
      const options = { attempts, redirects, retryAfterMs: 1_001 }
      throw new CbtorError('no_worker', 'Cannot fetch: every worker is dead\r\nX: y', options)
    }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload: { url: 'http://a.test/' } })
    assert.equal(response.statusCode, 503)
    assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
    assert.equal(response.headers['retry-after'], '2')
    assert.deepEqual(response.json(), {
      type: '/problems/no_worker',
      title: 'No worker can take the request',
      status: 503,
      code: 'no_worker',
      detail: 'Cannot fetch: every worker is dead??X: y',
      fault: 'worker',
      retryable: true,
      request_id: response.headers['x-request-id'],
      attempts: [{ worker: 'tor01', outcome: 'tor_timeout', ms: 7 }],
      redirects: [{ status: 302, from: 'http://a.test/', to: 'http://b.test/' }],
    })
  })

  it('say how far the request came', async () => {
    await using test = await createTestApp()
    test.backend.answer = async () => {
      const timing = { queueMs: 0.5, connectMs: 300, tlsMs: 0, totalMs: 900.126 }
      const receipt: FailureReceipt = {
        ...{ identity: 'sticky', worker: 'tor02', route: 'socks', exit: undefined, timing },
        bytes: { received: 10, sent: 20 },
      }
      throw new CbtorError('connection_lost', 'Cannot complete the exchange: it was lost', { receipt })
    }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload: { url: 'http://a.test/' } })
    assert.deepEqual(response.json().receipt, {
      worker: 'tor02',
      route: 'socks',
      identity: 'sticky',
      exit: null,
      timing: { queue_ms: 0.5, connect_ms: 300, tls_ms: 0, total_ms: 900.13 },
      bytes: { received: 10, sent: 20 },
    })
  })

  it('show nothing of a bug, and log it once without its message, which may quote a target', async () => {
    await using test = await createTestApp()
    test.backend.answer = async () => {
      throw new TypeError('http://secret.example/ is not a function')
    }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload: { url: 'http://a.test/' } })
    assert.equal(response.json().code, 'internal')
    assert.doesNotMatch(response.body, /secret/)
    const errors = test.logger.lines.filter(({ level }) => level === 'error')
    assert.equal(errors.length, 1)
    assert.equal(errors[0]?.fields.request, response.headers['x-request-id'])
    assert.match(JSON.stringify(errors), /app\.test\.ts/)
    assert.doesNotMatch(JSON.stringify(test.logger.lines), /secret|a\.test\//)
  })

  it('are described where their type leads', async () => {
    await using test = await createTestApp()
    const response = await test.app.inject({ url: '/problems/no_worker' })
    assert.deepEqual(response.json(), {
      code: 'no_worker',
      title: 'No worker can take the request',
      status: 503,
      fault: 'worker',
      retryable: true,
    })
    assert.equal((await test.app.inject({ url: '/problems/toString' })).json().code, 'not_found')
  })
})

it('logs a line per request, without URL, host or body', async () => {
  await using test = await createTestApp()
  const payload = { url: 'http://target.example/', worker: 'tor02', sticky_key: 'secret-key' }
  await test.app.inject({ method: 'POST', url: '/api/v1/fetch?key=secret-key', payload })
  const [line, ...more] = test.logger.lines
  assert.deepEqual(more, [])
  const { request, ...fields } = line?.fields ?? {}
  assert.match(String(request), /^[\w-]{16}$/)
  assert.deepEqual(fields, {
    key: 'anybody',
    method: 'POST',
    route: '/api/v1/fetch',
    status: 200,
    ms: 0,
    worker: 'tor02',
  })
})

it('gives every answer the headers that keep browsers from misusing it, and no CORS headers', async () => {
  await using test = await createTestApp()
  const requests = [
    { url: '/api/v1/health' },
    { url: '/nope' },
    { url: '/%zz' },
    { url: '/docs' },
    { url: '/redoc' },
    { method: 'OPTIONS' as const, url: '/api/v1/fetch', headers: { origin: 'https://evil.test' } },
  ]
  for (const request of requests) {
    const { headers } = await test.app.inject(request)
    assert.equal(headers['x-content-type-options'], 'nosniff', request.url)
    assert.equal(headers['referrer-policy'], 'no-referrer', request.url)
    assert.match(String(headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/, request.url)
    assert.deepEqual(
      Object.keys(headers).filter((name) => /^access-control-|^x-powered-by$|^server$/.test(name)),
      [],
      request.url,
    )
  }
})

it('gives slow and greedy clients little', async () => {
  await using test = await createTestApp()
  const { headersTimeout, requestTimeout, keepAliveTimeout } = test.app.server
  assert.deepEqual([headersTimeout, requestTimeout, keepAliveTimeout], [10_000, 30_000, 5_000])
})

it('answers HEAD wherever it answers GET', async () => {
  await using test = await createTestApp()
  for (const url of [
    '/api/v1/health',
    '/api/v1/tor/workers/1',
    '/api/v1/events',
    '/metrics',
    '/docs',
    '/openapi.json',
  ]) {
    const response = await test.app.inject({ method: 'HEAD', url })
    assert.equal(response.statusCode, 200, url)
    assert.equal(response.body, '', url)
  }
})
