import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTestApp } from '../test-app.ts'

const UNDER_WAY = {
  ...({ id: 7, kind: 'tunnel', isOnion: false, port: 443, key: 'anybody', worker: undefined } as const),
  ...{ startedAt: 5_000, host: 'secret.example' },
}

describe('GET /api/v1/live', { timeout: 10_000 }, () => {
  it('has figures, workers with their states, problems and requests under way, but no target', async () => {
    await using test = await createTestApp()
    test.backend.underWay = [UNDER_WAY]
    const response = await test.app.inject({ url: '/api/v1/live' })
    const { pool, series, workers, requests, requests_total, version } = response.json()
    assert.deepEqual(pool, {
      ...{ state: 'ok', mode: 'round_robin', window_s: 60, requests_per_s: 2, success_ratio: 0.9877 },
      ...{ p50_ms: 812.35, p95_ms: null, leases: 10, waiting: 1, tunnels: 2 },
      ...{ read_bytes_per_s: 1_000, written_bytes_per_s: 100 },
    })
    assert.deepEqual(series, [{ at: '1970-01-01T00:16:30.000Z', requests: 3, failures: 1, p50_ms: 800, p95_ms: 900 }])
    assert.deepEqual(workers[0].history, [{ state: 'healthy', since: '1970-01-01T00:00:00.000Z' }])
    assert.deepEqual([workers.length, workers[0].leases, version, requests_total], [4, 1, '1.2.3', 1])
    const shown = { id: 7, kind: 'tunnel', class: 'clear', port: 443, key: 'anybody', worker: null }
    assert.deepEqual(requests, [{ ...shown, started_at: '1970-01-01T00:00:05.000Z' }])
    assert.doesNotMatch(response.body, /secret/)
  })

  it('says that the pool is degraded or down', async () => {
    await using test = await createTestApp()
    for (const n of [1, 2, 3, 4]) await test.backend.drain(`tor0${n}`, { force: true })
    assert.equal((await test.app.inject({ url: '/api/v1/live' })).json().pool.state, 'down')
  })
})

describe('GET /api/v1/requests', { timeout: 10_000 }, () => {
  it('tells targets to nobody but an admin who asks for them', async () => {
    await using test = await createTestApp({ auth: 'on' })
    test.backend.underWay = [UNDER_WAY, { ...UNDER_WAY, id: 8, isOnion: true, host: undefined }]
    const ask = async (query: string, ...scopes: Parameters<typeof test.keys.with>) =>
      await test.app.inject({ url: `/api/v1/requests${query}`, headers: test.keys.with(...scopes) })
    for (const answer of [
      await ask('', 'workers:read'),
      await ask('', 'admin'),
      await ask('?targets=false', 'admin'),
      await ask('?targets=true', 'workers:read'),
    ]) {
      assert.doesNotMatch(answer.body, /secret|"host"/)
    }
    assert.equal((await ask('?targets=true', 'workers:read')).json().code, 'scope_missing')
    const { requests, total } = (await ask('?targets=true', 'admin')).json()
    assert.deepEqual(
      requests.map(({ host }: { host: string }) => host),
      ['secret.example', null],
    )
    assert.equal(total, 2)
    assert.equal((await ask('?targets=yes', 'admin')).statusCode, 400)
  })
})

describe('GET /api/v1/whoami', { timeout: 10_000 }, () => {
  it('tells a key who it is, whatever it may, and never its secret', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const limits = { rate: 5, bytesPerDay: 1_000 }
    const { text } = test.keys.create({ name: 'a crawler', scopes: ['proxy'], limits, expiresAt: 2_000 })
    const answer = await test.app.inject({ url: '/api/v1/whoami', headers: { authorization: `Bearer ${text}` } })
    assert.deepEqual(answer.json(), {
      ...{ id: 'key1', name: 'a crawler', scopes: ['proxy'], expires_at: '1970-01-01T00:00:02.000Z', auth: 'on' },
      limits: { rate: 5, burst: null, concurrent: null, bytes_per_day: 1_000 },
    })
    assert.doesNotMatch(answer.body, /secret/)
  })

  it('says that nobody is asked for a key', async () => {
    await using test = await createTestApp()
    const { id, auth, scopes } = (await test.app.inject({ url: '/api/v1/whoami' })).json()
    assert.deepEqual([id, auth, scopes.includes('admin')], ['anybody', 'off', true])
  })
})
