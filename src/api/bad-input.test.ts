import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import type { ProblemCode } from '../domain/problems.ts'
import { createTestApp } from './test-app.ts'

interface Case {
  readonly name: string
  readonly request: InjectOptions
  readonly status: number
  readonly code: string
  /** Paths of `errors`, sorted. */
  readonly paths?: readonly string[]
}

const JSON_TYPE = { 'content-type': 'application/json' }
const url = 'http://example.com/'

function invalid(name: string, body: unknown, ...paths: string[]): Case {
  return coded('invalid_input', name, body, ...paths)
}

/** A fault with a code of its own. */
function coded(code: ProblemCode, name: string, body: unknown, ...paths: string[]): Case {
  const request: InjectOptions = {
    method: 'POST',
    url: '/api/v1/fetch',
    headers: JSON_TYPE,
    payload: JSON.stringify(body),
  }
  return { name: `fetch: ${name}`, request, status: 400, code, paths: paths.sort() }
}

function posted(
  name: string,
  payload: string | Buffer,
  status: number,
  code: string,
  headers: object = JSON_TYPE,
): Case {
  const request = { method: 'POST', url: '/api/v1/fetch', headers: { ...headers }, payload } as const
  return { name: `fetch: ${name}`, request, status, code }
}

function refused(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS',
  path: string,
  status: number,
  code: string,
): Case {
  return { name: `${method} ${path}`, request: { method, url: path }, status, code }
}

function order(path: string, payload: unknown, status: number, code: string, ...paths: string[]): Case {
  const request = { method: 'POST', url: path, headers: JSON_TYPE, payload: JSON.stringify(payload) } as const
  return { name: `${path} ${JSON.stringify(payload)}`, request, status, code, ...(paths.length > 0 && { paths }) }
}

function queried(path: string, ...paths: string[]): Case {
  return { name: `GET ${path}`, request: { url: path }, status: 400, code: 'invalid_input', paths }
}

const CASES: readonly Case[] = [
  // The rows of the table of bad inputs that belong to the API, by their numbers.
  refused('GET', '/api/v1/fetch', 405, 'method_not_allowed'), // 6
  refused('PUT', '/api/v1/fetch', 405, 'method_not_allowed'),
  refused('DELETE', '/api/v1/fetch', 405, 'method_not_allowed'),
  posted('text/plain', '{}', 415, 'unsupported_media_type', { 'content-type': 'text/plain' }), // 7
  posted('a form', 'url=a', 415, 'unsupported_media_type', { 'content-type': 'application/x-www-form-urlencoded' }),
  posted('no content type', '{}', 415, 'unsupported_media_type', {}),
  posted('UTF-16', '{}', 415, 'unsupported_media_type', { 'content-type': 'application/json; charset=utf-16' }),
  posted('nothing', '', 400, 'invalid_input'), // 8-10
  posted('broken JSON', '{"url": "http://a/', 400, 'invalid_json'),
  posted('two values', '{} {}', 400, 'invalid_json'),
  posted('bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'invalid_json'),
  posted('NaN', '{"timeout_ms": NaN}', 400, 'invalid_json'),
  posted('200,000 nested lists', '['.repeat(200_000), 400, 'invalid_json'),
  posted('33 nested lists', '['.repeat(33) + ']'.repeat(33), 400, 'invalid_json'),
  posted('__proto__', `{"url":"${url}","__proto__":{"method":"PUT"}}`, 400, 'unknown_field'), // 11
  posted('__proto__ in headers', `{"url":"${url}","headers":{"__proto__":"a"}}`, 400, 'unknown_field'),
  posted('__proto__ with escapes', `{"url":"${url}","\\u005f_proto__":1}`, 400, 'unknown_field'),
  posted('constructor.prototype', `{"url":"${url}","constructor":{"prototype":{}}}`, 400, 'unknown_field'),
  coded('unknown_field', 'constructor', { url, constructor: 'a' }, 'constructor'),
  coded('unknown_field', 'unknown fields', { url, uri: url, timeout: 5 }, 'timeout', 'uri'), // 12
  posted('1 MiB + 1', JSON.stringify({ url: 'x'.repeat(1024 * 1024) }), 413, 'payload_too_large'), // 13
  posted('gzip', '{}', 415, 'unsupported_media_type', { ...JSON_TYPE, 'content-encoding': 'gzip' }), // 14
  posted('another Host', '{}', 421, 'host_not_allowed', { ...JSON_TYPE, host: 'evil.test' }), // 18
  posted('another Origin', '{}', 403, 'origin_not_allowed', { ...JSON_TYPE, origin: 'https://evil.test' }), // 19
  { ...refused('OPTIONS', '/api/v1/fetch', 405, 'method_not_allowed') },
  {
    name: 'a preflight',
    request: { method: 'OPTIONS', url: '/api/v1/fetch', headers: { origin: 'https://evil.test' } },
    status: 403,
    code: 'origin_not_allowed',
  },
  coded('url_required', 'no url', {}, 'url'), // 20
  coded('url_type', 'url null', { url: null }, 'url'),
  coded('url_type', 'url a number', { url: 1 }, 'url'),
  coded('url_type', 'url a list', { url: [url] }, 'url'),
  coded('url_required', 'url empty', { url: '' }, 'url'),
  coded('url_too_long', 'url too long', { url: `http://${'a'.repeat(8_192)}` }, 'url'), // 21
  coded('timeout_range', 'timeout_ms -1', { url, timeout_ms: -1 }, 'timeout_ms'), // 48
  coded('timeout_range', 'timeout_ms 0', { url, timeout_ms: 0 }, 'timeout_ms'),
  coded('timeout_range', 'timeout_ms 499', { url, timeout_ms: 499 }, 'timeout_ms'),
  coded('timeout_range', 'timeout_ms 300001', { url, timeout_ms: 300_001 }, 'timeout_ms'),
  coded('timeout_range', 'timeout_ms 1e12', { url, timeout_ms: 1e12 }, 'timeout_ms'),
  coded('timeout_range', 'timeout_ms "5s"', { url, timeout_ms: '5s' }, 'timeout_ms'),
  coded('timeout_range', 'timeout_ms 500.5', { url, timeout_ms: 500.5 }, 'timeout_ms'),
  posted('timeout_ms 1e999', `{"url":"${url}","timeout_ms":1e999}`, 400, 'timeout_range'),

  // The other fields.
  invalid('a list', [url], ''),
  invalid('null', null, ''),
  invalid('text', url, ''),
  coded('url_invalid', 'url with half a surrogate pair', { url: `${url}\ud800` }, 'url'),
  invalid('method empty', { url, method: '' }, 'method'),
  invalid('method CONNECT', { url, method: 'connect' }, 'method'),
  invalid('method TRACE', { url, method: 'TRACE' }, 'method'),
  invalid('method with a line end', { url, method: 'GET\r\nX: y' }, 'method'),
  coded('header_invalid', 'headers a list', { url, headers: [['a', 'b']] }, 'headers'),
  coded(
    'header_invalid',
    'header values that are no text',
    { url, headers: { a: 1, b: true, c: ['d', 2] } },
    'headers/a',
    'headers/b',
    'headers/c',
  ),
  invalid('body with GET', { url, body: 'a' }, 'body'),
  invalid('body with HEAD', { url, method: 'head', body: '' }, 'body'),
  invalid('body an object', { url, method: 'POST', body: {} }, 'body'),
  invalid('body with half a surrogate pair', { url, method: 'POST', body: '\udc00' }, 'body'),
  invalid('body not base64', { url, method: 'POST', body: 'a', body_encoding: 'base64' }, 'body'),
  invalid('body base64url', { url, method: 'POST', body: '_wA=', body_encoding: 'base64' }, 'body'),
  invalid('body_encoding', { url, body_encoding: 'hex' }, 'body_encoding'),
  invalid('max_bytes 0', { url, max_bytes: 0 }, 'max_bytes'),
  invalid('max_bytes too large', { url, max_bytes: 104_857_601 }, 'max_bytes'),
  invalid('follow_redirects', { url, follow_redirects: 'yes' }, 'follow_redirects'),
  invalid('max_redirects -1 and 11', { url, max_redirects: -1 }, 'max_redirects'),
  invalid('max_redirects 11', { url, max_redirects: 11 }, 'max_redirects'),
  invalid('allow_downgrade', { url, allow_downgrade: 1 }, 'allow_downgrade'),
  invalid('allow_onion_to_clearnet', { url, allow_onion_to_clearnet: null }, 'allow_onion_to_clearnet'),
  invalid('mode', { url, mode: 'fastest' }, 'mode'),
  coded('session_invalid', 'sticky_key empty', { url, sticky_key: '' }, 'sticky_key'),
  coded('session_invalid', 'sticky_key too long', { url, sticky_key: 'a'.repeat(65) }, 'sticky_key'),
  coded('session_invalid', 'sticky_key with a line end', { url, sticky_key: 'a\r\nSIGNAL HALT' }, 'sticky_key'),
  coded('session_invalid', 'sticky_key that no path can say', { url, sticky_key: '..' }, 'sticky_key'),
  coded('session_invalid', 'sticky_key with a blank', { url, sticky_key: 'a b' }, 'sticky_key'),
  coded('session_invalid', 'sticky_key with an emoji', { url, sticky_key: '🧅' }, 'sticky_key'),
  invalid('sticky_key and another mode', { url, sticky_key: 'a', mode: 'random' }, 'mode'),
  invalid('sticky_key and isolation', { url, sticky_key: 'a', isolation: 'destination' }, 'isolation'),
  invalid('on_loss', { url, sticky_key: 'a', on_loss: 'retry' }, 'on_loss'),
  invalid('on_loss without sticky_key', { url, on_loss: 'fail' }, 'on_loss'),
  invalid('session_ttl_s 0', { url, sticky_key: 'a', session_ttl_s: 0 }, 'session_ttl_s'),
  invalid('session_ttl_s a week and a second', { url, sticky_key: 'a', session_ttl_s: 604_801 }, 'session_ttl_s'),
  invalid('session_ttl_s "1h"', { url, sticky_key: 'a', session_ttl_s: '1h' }, 'session_ttl_s'),
  invalid('session_ttl_s without sticky_key', { url, session_ttl_s: 60 }, 'session_ttl_s'),
  ...[
    'us; ExitNodes {ru}',
    '{us}',
    'USA',
    '\r\nSIGNAL HALT',
    'US',
    'zz',
    '',
    ' de',
    'de\n',
    '??',
    49,
    null,
    ['de'],
  ].map(
    (country) => coded('country_invalid', `country ${JSON.stringify(country)}`, { url, country }, 'country'), // 40
  ),
  coded('country_invalid', 'exclude_countries no list', { url, exclude_countries: 'de' }, 'exclude_countries'),
  coded('country_invalid', 'exclude_countries empty', { url, exclude_countries: [] }, 'exclude_countries'),
  coded(
    'country_invalid',
    'exclude_countries too many',
    { url, exclude_countries: Array(51).fill('de') },
    'exclude_countries',
  ),
  coded(
    'country_invalid',
    'exclude_countries unknown',
    { url, exclude_countries: ['de', 'xx'] },
    'exclude_countries/1',
  ),
  invalid('exclude_countries with the country', { url, country: 'de', exclude_countries: ['de'] }, 'exclude_countries'),
  coded('session_invalid', 'distinct_from with a blank', { url, distinct_from: 'a b' }, 'distinct_from'),
  coded('session_invalid', 'distinct_from empty', { url, distinct_from: '' }, 'distinct_from'),
  invalid('distinct_from its own', { url, sticky_key: 'a', distinct_from: 'a' }, 'distinct_from'),
  invalid(
    'exit rules all wrong',
    { url, country: 'xx', exclude_countries: 1, distinct_from: 2, hedge: 3 },
    'country',
    'exclude_countries',
    'distinct_from',
    'hedge',
  ),
  invalid('hedge', { url, hedge: 'yes' }, 'hedge'),
  invalid('hedge with POST', { url, method: 'POST', hedge: true }, 'hedge'),
  invalid('hedge with sticky_key', { url, sticky_key: 'a', hedge: true }, 'hedge'),
  invalid('hedge with worker', { url, worker: 1, hedge: true }, 'hedge'),
  invalid('isolation', { url, isolation: 'all' }, 'isolation'),
  invalid('worker 0', { url, worker: 0 }, 'worker'),
  invalid('worker 1.5', { url, worker: 1.5 }, 'worker'),
  invalid('worker empty', { url, worker: '' }, 'worker'),
  invalid('worker an object', { url, worker: {} }, 'worker'),
  invalid('response_encoding', { url, response_encoding: 'utf-8' }, 'response_encoding'),
  invalid('text that may not fit', { url, response_encoding: 'text', max_bytes: 104_857_600 }, 'response_encoding'),
  invalid(
    'all faults at once',
    { url: 1, method: 'TRACE', timeout_ms: 0.5, sticky_key: 'a', mode: 'random', isolation: 'none', nope: 1 },
    ...['url', 'method', 'timeout_ms', 'mode', 'isolation', 'nope'],
  ),
  order('/api/v1/fetch', { url, worker: 'tor99' }, 404, 'worker_not_found'),
  order('/api/v1/fetch', { url, worker: 5 }, 404, 'worker_not_found'),
  order('/api/v1/fetch', { url, worker: '../tor01' }, 404, 'worker_not_found'),

  // The other routes.
  order('/api/v1/mode', { mode: 'fastest' }, 400, 'invalid_input', 'mode'),
  order('/api/v1/mode', {}, 400, 'invalid_input', 'mode'),
  order('/api/v1/mode', { mode: 'random', worker: 1 }, 400, 'unknown_field', 'worker'),
  order('/api/v1/workers/drain', {}, 400, 'invalid_input', 'worker'),
  order('/api/v1/workers/drain', { worker: 'tor01', force: 1 }, 400, 'invalid_input', 'force'),
  order('/api/v1/workers/drain', { worker: 9 }, 404, 'worker_not_found'),
  order('/api/v1/workers/enable', { worker: 'tor01', force: true }, 400, 'unknown_field', 'force'),
  order('/api/v1/workers/enable', { worker: 'toString' }, 404, 'worker_not_found'),
  order('/api/v1/tor/workers/1/tor/stop', { force: true }, 400, 'invalid_input', ''),
  order('/api/v1/tor/workers/1/tor/stop', 'now', 400, 'invalid_input', ''),
  refused('POST', '/api/v1/tor/workers/9/tor/start', 404, 'worker_not_found'),
  refused('POST', '/api/v1/tor/workers/1/tor/kill', 404, 'not_found'),
  refused('GET', '/api/v1/tor/workers/1/tor/start', 405, 'method_not_allowed'),
  queried('/api/v1/events?type=nope', 'type'),
  queried('/api/v1/events?type=', 'type'),
  queried('/api/v1/events?type=health_changed,', 'type'),
  queried('/api/v1/events?type=health_changed&type=mode_changed', 'type'),
  queried('/api/v1/events?severity=fatal', 'severity'),
  queried('/api/v1/events?limit=0', 'limit'),
  queried('/api/v1/events?limit=1001', 'limit'),
  queried('/api/v1/events?limit=1e2', 'limit'),
  queried('/api/v1/events?limit=99999999999999999999', 'limit'),
  queried('/api/v1/events?since_id=-1', 'since_id'),
  queried('/api/v1/events?since_id=9999999999999999', 'since_id'),
  queried('/api/v1/events?since_id=1.5&limit=x&nope=1', 'limit', 'nope', 'since_id'),
  queried('/api/v1/events?worker=tor01&worker=tor02', 'worker'),
  { ...queried('/api/v1/events/stream?limit=1', 'limit'), code: 'unknown_field' },
  queried('/api/v1/events/stream?type=nope', 'type'),
  refused('GET', '/api/v1/events?worker=tor99', 404, 'worker_not_found'),
  refused('GET', '/api/v1/events/stream?worker=toString', 404, 'worker_not_found'),
  refused('POST', '/api/v1/events', 405, 'method_not_allowed'),
  {
    name: 'a Last-Event-ID that is none',
    request: { url: '/api/v1/events/stream', headers: { 'last-event-id': '1; drop' } },
    status: 400,
    code: 'invalid_input',
    paths: ['last-event-id'],
  },
  order('/api/v1/tor/workers/1/newnym', { wait_ms: -1 }, 400, 'invalid_input', 'wait_ms'),
  order('/api/v1/tor/workers/1/newnym', { wait_ms: 60_001 }, 400, 'invalid_input', 'wait_ms'),
  order('/api/v1/tor/workers/1/newnym', { wait_ms: '5s' }, 400, 'invalid_input', 'wait_ms'),
  order('/api/v1/tor/workers/1/newnym', { wait: 1 }, 400, 'unknown_field', 'wait'),
  order('/api/v1/tor/workers/1/newnym', [], 400, 'invalid_input', ''),
  order('/api/v1/tor/workers/1/newnym?wait_ms=x', {}, 400, 'invalid_input', 'wait_ms'),
  order('/api/v1/tor/workers/1/newnym?wait_ms=1', { wait_ms: 1 }, 400, 'invalid_input', 'wait_ms'),
  order('/api/v1/tor/workers/1/newnym?nope=1', {}, 400, 'unknown_field', 'nope'),
  order('/api/v1/tor/workers/9/newnym', {}, 404, 'worker_not_found'),
  refused('GET', '/api/v1/tor/workers/1/newnym', 405, 'method_not_allowed'),
  refused('GET', '/api/v1/sessions/nobody', 404, 'session_not_found'),
  refused('GET', '/api/v1/sessions/toString', 404, 'session_not_found'),
  refused('GET', `/api/v1/sessions/${'%41'.repeat(64)}`, 404, 'session_not_found'),
  refused('GET', `/api/v1/sessions/${'a'.repeat(1_000)}`, 404, 'not_found'),
  refused('POST', '/api/v1/sessions/%0d%0aX:%20y/rotate', 404, 'session_not_found'),
  refused('DELETE', '/api/v1/sessions/nobody', 404, 'session_not_found'),
  refused('DELETE', '/api/v1/sessions', 405, 'method_not_allowed'),
  refused('GET', '/api/v1/sessions/my-session-123/rotate', 405, 'method_not_allowed'),
  order('/api/v1/sessions/my-session-123/rotate', { worker: 1 }, 400, 'invalid_input', ''),
  {
    name: 'DELETE of a session with a body',
    request: { method: 'DELETE', url: '/api/v1/sessions/my-session-123', payload: { force: true } },
    status: 400,
    code: 'invalid_input',
    paths: [''],
  },
  refused('POST', '/metrics', 405, 'method_not_allowed'),
  refused('GET', '/api/v1/tor/workers/0', 404, 'worker_not_found'),
  refused('GET', '/api/v1/tor/workers/-1', 404, 'worker_not_found'),
  refused('GET', '/api/v1/tor/workers/1e0', 404, 'worker_not_found'),
  refused('GET', '/api/v1/tor/workers/%2e%2e%2ftor01', 404, 'worker_not_found'),
  refused('GET', '/api/v1/tor/workers/%0d%0aX:%20y', 404, 'worker_not_found'),
  refused('GET', `/api/v1/tor/workers/${'a'.repeat(1_000)}`, 404, 'not_found'),
  refused('GET', '/%zz', 404, 'not_found'),
  refused('GET', '/nope?a=b', 404, 'not_found'),
  refused('POST', '/nope', 404, 'not_found'),
  refused('GET', '/docs/static/../../package.json', 404, 'not_found'),
  refused('GET', '/docs/static/%2e%2e/package.json', 404, 'not_found'),
]

it('gives bad input its problem, and nobody hears of it', async (context) => {
  await using test = await createTestApp()
  for (const { name, request, status, code, paths } of CASES) {
    await context.test(name.slice(0, 80), async () => {
      const response = await test.app.inject(request)
      assert.equal(response.statusCode, status, response.body)
      assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
      const problem = response.json()
      assert.equal(problem.code, code, response.body)
      assert.equal(problem.status, status)
      assert.equal(problem.request_id, response.headers['x-request-id'])
      if (paths) assert.deepEqual(problem.errors.map(({ path }: { path: string }) => path).sort(), paths)
      const codes = new Set((problem.errors ?? []).map((fault: { code: string }) => fault.code))
      if (codes.size > 0) assert.equal(code, codes.size === 1 ? [...codes][0] : 'invalid_input')
      assert.deepEqual(test.backend.calls, [])
      assert.equal(response.headers.allow !== undefined, status === 405)
    })
  }
})

it('tells in Allow what a resource can do', async () => {
  await using test = await createTestApp()
  assert.equal((await test.app.inject({ method: 'PUT', url: '/api/v1/fetch' })).headers.allow, 'POST')
  assert.equal((await test.app.inject({ method: 'DELETE', url: '/api/v1/mode' })).headers.allow, 'GET, HEAD, POST')
  // Its headers come with its first event, and the rest would be for nobody.
  assert.equal((await test.app.inject({ method: 'HEAD', url: '/api/v1/events/stream' })).headers.allow, 'GET')
})

it('shows little of what was sent, and only what can be printed', async () => {
  await using test = await createTestApp()
  const long = `\u0000\u202e<script>${'x'.repeat(1_000)}`
  const payload = Object.fromEntries([...Array(100).keys()].map((index) => [`${index}${long}`, 1]))
  const { errors, detail } = (await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload })).json()
  assert.equal(errors.length, 32)
  for (const { path } of errors) assert.match(path, /^[\x20-\x7e]{1,64}$/)
  assert.match(detail, /^[\x20-\x7e]{1,600}$/)
  assert.doesNotMatch(detail, /x{64}/)
})

it('never answers a body with 5xx, whatever it is', { timeout: 60_000 }, async () => {
  await using test = await createTestApp()
  const field = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom('GET', 'base64', 'text', 'sticky', 'random', 'none', 'tor01', url, true, 1, 500, 10_000),
  )
  const names = ['url', 'method', 'headers', 'body', 'body_encoding', 'timeout_ms', 'max_bytes', 'follow_redirects']
  const others = ['max_redirects', 'mode', 'sticky_key', 'isolation', 'worker', 'response_encoding', 'hedge', 'on_loss']
  const more = ['session_ttl_s', 'wait_ms', 'toString']
  const body = fc.dictionary(fc.constantFrom(...names, ...others, ...more), field, { maxKeys: 8 })
  const payload = fc.oneof(
    body.map((value) => JSON.stringify({ url, ...value })),
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
  await fc.assert(
    fc.asyncProperty(
      payload,
      fc.constantFrom('fetch', 'mode', 'workers/drain', 'workers/enable', 'tor/workers/1/newnym', 'sessions/a/rotate'),
      async (bytes, route) => {
        const request = { method: 'POST', url: `/api/v1/${route}`, headers: JSON_TYPE, payload: bytes } as const
        const response = await test.app.inject(request)
        assert.ok(response.statusCode < 500, `${response.statusCode} ${response.body}`)
        assert.doesNotThrow(() => response.json())
      },
    ),
    { numRuns: 500 },
  )
})
