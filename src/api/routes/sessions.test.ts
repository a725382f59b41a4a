import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTestApp } from '../test-app.ts'

const SESSION = {
  key: 'my-session-123',
  owner: 'anybody',
  worker: 'tor01',
  exit: { nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.7', country: 'de' },
  created_at: '1970-01-01T00:00:00.000Z',
  last_used_at: '1970-01-01T00:00:01.000Z',
  requests: 2,
  expires_at: '1970-01-01T01:00:01.000Z',
  moved: 1,
}

describe('the routes about sessions', () => {
  it('show the sessions, and each of them', async () => {
    await using test = await createTestApp()
    assert.deepEqual((await test.app.inject({ url: '/api/v1/sessions' })).json(), { sessions: [SESSION] })
    assert.deepEqual((await test.app.inject({ url: '/api/v1/sessions/my-session-123' })).json(), SESSION)
  })

  it('do not tell a caller of the sessions of others, but tell an admin', async () => {
    await using test = await createTestApp()
    test.backend.beginSession({ owner: 'other', key: 'theirs' })
    const all = (await test.app.inject({ url: '/api/v1/sessions' })).json().sessions
    assert.deepEqual(
      all.map(({ owner }: { owner: string }) => owner),
      ['anybody', 'other'],
    ) // with auth off, everybody is admin
    assert.equal((await test.app.inject({ url: '/api/v1/sessions/theirs' })).statusCode, 404)
    assert.equal((await test.app.inject({ url: '/api/v1/sessions/theirs?owner=other' })).json().owner, 'other')
    const unknown = await test.app.inject({ url: '/api/v1/sessions/theirs?own=other' })
    assert.deepEqual([unknown.statusCode, unknown.json().code], [400, 'unknown_field'])
  })

  it('show no more than can be written at once, to admins as to others', async () => {
    for (const scope of ['admin', 'sessions'] as const) {
      await using test = await createTestApp({ auth: 'on' })
      const { key, text } = test.keys.create({ name: 'x', scopes: [scope] })
      for (let n = 0; n < 1_001; n++) test.backend.beginSession({ owner: key.id, key: `s${n}` })
      const headers = { authorization: `Bearer ${text}` }
      assert.equal((await test.app.inject({ url: '/api/v1/sessions', headers })).json().sessions.length, 1_000)
    }
  })

  it('find every key that a request may have', async () => {
    await using test = await createTestApp()
    for (const key of ['a/b?c#d%e', '%2F', '"\'<>', '!'.repeat(64), '/'.repeat(64), ':n', '*', '..%2f']) {
      test.backend.beginSession({ owner: 'anybody', key })
      const response = await test.app.inject({ url: `/api/v1/sessions/${encodeURIComponent(key)}` })
      assert.equal(response.json().key, key, response.body)
    }
  })

  it('rotate a session at once, and end it', async () => {
    await using test = await createTestApp()
    const url = '/api/v1/sessions/my-session-123'
    const rotated = await test.app.inject({ method: 'POST', url: `${url}/rotate` })
    assert.deepEqual([rotated.statusCode, rotated.json().exit], [200, null])
    const ended = await test.app.inject({ method: 'DELETE', url })
    assert.deepEqual([ended.statusCode, ended.json().key], [200, 'my-session-123'])
    const again = await test.app.inject({ method: 'DELETE', url })
    assert.deepEqual([again.statusCode, again.json().code], [404, 'session_not_found'])
    assert.deepEqual(test.backend.calls, ['rotateSession my-session-123', 'endSession my-session-123'])
  })

  it('log no key', async () => {
    await using test = await createTestApp()
    await test.app.inject({ method: 'DELETE', url: '/api/v1/sessions/my-session-123' })
    await test.app.inject({ url: '/api/v1/sessions/my-session-123' })
    assert.equal(test.logger.lines.length, 2)
    assert.doesNotMatch(JSON.stringify(test.logger.lines), /my-session/)
  })
})
