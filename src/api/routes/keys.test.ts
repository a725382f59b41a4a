import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTestApp, type TestApp } from '../test-app.ts'

const post = ({ app }: TestApp, payload: object) => app.inject({ method: 'POST', url: '/api/v1/keys', payload })

describe('the routes about keys', () => {
  it('make a key and tell it once, list it without, and revoke it', async () => {
    await using test = await createTestApp()
    const made = await post(test, {
      name: 'Crawler №1',
      scopes: ['fetch', 'proxy'],
      expires_at: '2099-12-31T23:59:59Z',
      limits: { rate: 0.5, burst: 10, concurrent: 4, bytes_per_day: 1e12 },
      targets: { allow: ['example.com'], deny: ['203.0.113.0/24', ':25'] },
    })
    assert.equal(made.statusCode, 200, made.body)
    const { key: text, ...shown } = made.json()
    assert.equal(text, 'cbt_key1_secret')
    assert.deepEqual(shown, {
      id: 'key1',
      name: 'Crawler №1',
      scopes: ['fetch', 'proxy'],
      created_at: '1970-01-01T00:00:00.000Z',
      expires_at: '2099-12-31T23:59:59.000Z',
      last_used_at: null,
      limits: { rate: 0.5, burst: 10, concurrent: 4, bytes_per_day: 1e12 },
      targets: { allow: ['example.com'], deny: ['203.0.113.0/24', ':25'] },
    })
    const listed = await test.app.inject({ url: '/api/v1/keys' })
    assert.deepEqual(listed.json(), { keys: [shown] })
    assert.doesNotMatch(listed.body, /secret/)
    const revoked = await test.app.inject({ method: 'DELETE', url: '/api/v1/keys/key1' })
    assert.deepEqual([revoked.statusCode, revoked.json()], [200, shown])
    assert.deepEqual((await test.app.inject({ url: '/api/v1/keys' })).json(), { keys: [] })
    const again = await test.app.inject({ method: 'DELETE', url: '/api/v1/keys/key1' })
    assert.deepEqual([again.statusCode, again.json().code], [404, 'key_not_found'])
    assert.doesNotMatch(JSON.stringify(test.logger.lines), /secret|Crawler/)
    assert.deepEqual(
      test.logger.lines.filter(({ level }) => level === 'info').map(({ message, fields }) => [message, fields]),
      [
        ['key made', { key: 'key1', scopes: ['fetch', 'proxy'], by: 'anybody' }],
        ['key revoked', { key: 'key1', by: 'anybody' }],
      ],
    )
  })

  it('take a name and scopes alone, and leave the rest as it is for all', async () => {
    await using test = await createTestApp()
    const made = (await post(test, { name: 'x', scopes: ['admin'] })).json()
    assert.deepEqual(
      [made.expires_at, made.limits, made.targets],
      [null, { rate: null, burst: null, concurrent: null, bytes_per_day: null }, { allow: [], deny: [] }],
    )
  })

  it('say what is wrong with what is asked of a key', async () => {
    await using test = await createTestApp()
    const good = { name: 'x', scopes: ['fetch'] }
    const cases: [change: object, path: string, message: RegExp][] = [
      [{ name: '' }, 'name', /must be 1 to 64 characters/],
      [{ name: 'x'.repeat(65) }, 'name', /must be 1 to 64 characters/],
      [{ name: 'a\nb' }, 'name', /must be 1 to 64 characters/],
      [{ name: ' x' }, 'name', /must be 1 to 64 characters/],
      [{ name: 5 }, 'name', /must be 1 to 64 characters/],
      [{ scopes: [] }, 'scopes', /one or more of fetch, proxy/],
      [{ scopes: 'fetch' }, 'scopes', /one or more of fetch, proxy/],
      [{ scopes: ['fetch', 'fetch'] }, 'scopes', /each of them once/],
      [{ scopes: ['root'] }, 'scopes/0', /must be one of fetch, proxy/],
      [{ expires_at: 'tomorrow' }, 'expires_at', /must be an instant in UTC/],
      [{ expires_at: '2099-01-01T00:00:00+02:00' }, 'expires_at', /must be an instant in UTC/],
      [{ expires_at: '1970-01-01T00:00:01Z' }, 'expires_at', /must be in the future/],
      [{ limits: { rate: 0 } }, 'limits/rate', /must be a number from 0\.001/],
      [{ limits: { burst: 1.5 } }, 'limits/burst', /must be a whole number/],
      [{ limits: { concurrent: -1 } }, 'limits/concurrent', /must be a whole number/],
      [{ limits: { bytes_per_day: '1' } }, 'limits/bytes_per_day', /must be a whole number/],
      [{ targets: { deny: ['http://example.com/'] } }, 'targets/deny/0', /is no rule for targets/],
      [{ targets: { allow: 'example.com' } }, 'targets/allow', /must be a list of at most/],
    ]
    for (const [change, path, message] of cases) {
      const response = await post(test, { ...good, ...change })
      assert.equal(response.statusCode, 400, JSON.stringify(change))
      const [fault] = response.json().errors
      assert.equal(fault.path, path)
      assert.match(fault.message, message)
    }
    for (const unknown of [{ secret: 'mine' }, { limits: { bytes: 1 } }, { targets: { block: [] } }]) {
      const response = await post(test, { ...good, ...unknown })
      assert.deepEqual([response.statusCode, response.json().code], [400, 'unknown_field'])
    }
    assert.deepEqual(test.keys.list(), [])
  })
})
