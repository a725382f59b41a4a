import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { InjectOptions } from 'fastify'
import { ACCESS } from './access.ts'
import { createTestApp } from './test-app.ts'

/** Every route there is, with something in the place of its parameters. */
const ROUTES = Object.keys(ACCESS).map((row) => {
  const [method, path = ''] = row.split(' ')
  const url = path
    .replace(':n', 'tor01')
    .replace(':key', 'mine')
    .replace(':code', 'internal')
    .replace('*', 'index.html')
  return { row, method: method as 'GET' | 'POST' | 'DELETE', url: url.replace(':id', 'abc') }
})
/** Does not end by itself. */
const STREAMS = ['GET /api/v1/events/stream', 'GET /api/v1/live/stream']

/** What a page of somebody else's may make a browser send, and how each is refused. */
const EVIL: readonly (readonly [name: string, headers: Record<string, string>, status: number, code: string])[] = [
  ['a name that is rebound to us', { host: 'evil.test' }, 421, 'host_not_allowed'],
  ['a name that looks like ours', { host: 'localhost.evil.test:80' }, 421, 'host_not_allowed'],
  [
    'another port of this machine',
    { host: 'localhost:80', origin: 'http://localhost:3000' },
    403,
    'origin_not_allowed',
  ],
  ['a page elsewhere', { host: 'localhost:80', origin: 'https://evil.test' }, 403, 'origin_not_allowed'],
  ['a page in a sandbox', { host: 'localhost:80', origin: 'null' }, 403, 'origin_not_allowed'],
  [
    'a picture, script or link elsewhere',
    { host: 'localhost:80', 'sec-fetch-site': 'cross-site' },
    403,
    'origin_not_allowed',
  ],
  ['the same, of a sister site', { host: 'localhost:80', 'sec-fetch-site': 'same-site' }, 403, 'origin_not_allowed'],
]

function assertSafe(headers: Readonly<Record<string, unknown>>, of: string): void {
  const names = Object.keys(headers).filter((name) => /^access-control-|^set-cookie/.test(name))
  assert.deepEqual(names, [], of)
  const policy = String(headers['content-security-policy'])
  assert.match(policy, /^default-src 'none'/, of)
  assert.match(policy, /frame-ancestors 'none'/, of)
  assert.doesNotMatch(policy, /script-src[^;]*unsafe|https?:/, of)
  assert.equal(headers['x-content-type-options'], 'nosniff', of)
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin', of)
}

describe('a web page of somebody else', { timeout: 60_000 }, () => {
  it('gets nothing of any route, before anybody is asked for a key', async () => {
    await using running = await createTestApp({ auth: 'on' })
    for (const { row, method, url } of ROUTES)
      for (const [name, headers, status, code] of EVIL) {
        const answer = await running.app.inject({ method, url, headers })
        assert.deepEqual([answer.statusCode, answer.json().code], [status, code], `${row}: ${name}`)
        assertSafe(answer.headers, row)
      }
    assert.deepEqual([running.backend.calls, running.keys.shown], [[], []])
  })

  it('is told by no preflight that it might', async () => {
    await using running = await createTestApp({ auth: 'on' })
    for (const { url } of ROUTES) {
      const preflight: InjectOptions = {
        ...{ method: 'OPTIONS', url },
        headers: {
          host: 'localhost:80',
          origin: 'https://evil.test',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, content-type',
          'access-control-request-private-network': 'true',
        },
      }
      const answer = await running.app.inject(preflight)
      assert.deepEqual([answer.statusCode, answer.json().code], [403, 'origin_not_allowed'], url)
      assertSafe(answer.headers, url)
    }
  })
})

describe('our own pages and programs', { timeout: 60_000 }, () => {
  it('are given no cookie and no leave for others by any route, whatever it answers', async () => {
    for (const auth of ['on', 'off'] as const) {
      await using running = await createTestApp({ auth })
      for (const { row, method, url } of ROUTES) {
        if (STREAMS.includes(row) && auth === 'off') continue
        const answer = await running.app.inject({ method, url, headers: { cookie: 'session=1' } })
        assertSafe(answer.headers, row)
      }
      const nowhere = await running.app.inject({ url: '/nowhere', headers: { 'sec-fetch-site': 'none' } })
      assert.equal(nowhere.statusCode, 404)
      assertSafe(nowhere.headers, '/nowhere')
    }
  })

  it('may ask', async () => {
    await using running = await createTestApp()
    const own = { host: 'localhost:80', origin: 'http://localhost:80', 'sec-fetch-site': 'same-origin' }
    assert.equal((await running.app.inject({ url: '/api/v1/health', headers: own })).statusCode, 200)
  })
})
