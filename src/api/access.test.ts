import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mayUse, SCOPES } from '../domain/caller.ts'
import { ACCESS, AccessCheck } from './access.ts'
import { createTestApp, type TestApp } from './test-app.ts'

/** A request that gets as far as a route can see to it without a key: an id that nobody has, no body. */
function ask({ app }: TestApp, row: string, headers: Record<string, string> = {}) {
  const [method = '', url = ''] = row.split(' ')
  const path = url.replaceAll(/:\w+/g, 'nobody').replace('*', 'swagger-ui.css')
  return app.inject({ method: method as 'GET', url: path, headers })
}

const SCOPED = Object.entries(ACCESS).flatMap(([row, access]) =>
  access === 'public' || access === 'any' ? [] : [{ row, scope: access }],
)
const ANY = Object.keys(ACCESS).filter((row) => ACCESS[row] === 'any')
const PUBLIC = Object.keys(ACCESS).filter((row) => ACCESS[row] === 'public')

describe('the table of who may use which route', () => {
  it('is of all routes, and of no others', async () => {
    await using _test = await createTestApp() // throws otherwise
    const check = new AccessCheck()
    assert.throws(() => check.admit('POST', '/new'), /Cannot register POST \/new: src\/api\/access\.ts does not say/)
    check.admit(['GET', 'HEAD'], '/healthz')
    assert.throws(() => check.finish(), /rows of src\/api\/access\.ts without a route: (?!.*healthz).*GET \/metrics/)
  })

  it('lets nobody without a key into any route that is not public, nor does the key of HEAD differ from that of GET', async () => {
    await using test = await createTestApp({ auth: 'on' })
    for (const row of [...SCOPED.map((each) => each.row), ...ANY]) {
      for (const each of row.startsWith('GET') && !/stream$|raw$/.test(row)
        ? [row, row.replace('GET', 'HEAD')]
        : [row]) {
        const response = await ask(test, each)
        assert.equal(response.statusCode, 401, each)
        assert.equal(response.headers['www-authenticate'], 'Bearer realm="cbtor"')
        if (!each.startsWith('HEAD')) assert.equal(response.json().code, 'auth_required', each)
      }
    }
    assert.deepEqual(test.backend.calls, [])
  })

  it('lets everybody into public ones, with whatever key', async () => {
    await using test = await createTestApp({ auth: 'on' })
    for (const row of PUBLIC) {
      for (const headers of [{}, { authorization: 'Bearer cbt_wrong_key' }]) {
        const response = await ask(test, row, headers)
        assert.ok([200, 302, 404].includes(response.statusCode), `${row}: ${response.statusCode}`)
      }
    }
    assert.deepEqual(test.keys.shown, [])
  })

  it('answers the same on public routes in every installation, but for the id of the request', async () => {
    const answers = await Promise.all(
      (['on', 'off'] as const).map(async (auth) => {
        await using test = await createTestApp({ auth })
        test.backend.openProblems =
          auth === 'on' ? [] : [{ code: 'worker_dead', severity: 'warn', text: 'x', since: 0, worker: 'tor01' }]
        if (auth === 'off') await test.backend.drain('tor01', { force: true })
        const responses = await Promise.all(PUBLIC.map((row) => ask(test, row)))
        return responses.map(({ body }) => body.replace(/"request_id":"[^"]+"/, ''))
      }),
    )
    assert.deepEqual(answers[0], answers[1])
  })

  it('refuses a key of every other scope, and says which one it takes', async () => {
    await using test = await createTestApp({ auth: 'on' })
    for (const { row, scope } of SCOPED) {
      for (const other of SCOPES.filter((each) => each !== scope && each !== 'admin')) {
        const response = await ask(test, row, test.keys.with(other))
        assert.equal(response.statusCode, 403, `${row} with ${other}`)
        const { code, detail } = response.json()
        assert.equal(code, 'scope_missing')
        assert.match(detail, new RegExp(`the scope "${scope}"$`))
      }
    }
    assert.deepEqual(test.backend.calls, [])
  })

  it('lets a key of the scope in, and one of an admin everywhere', async () => {
    await using test = await createTestApp({ auth: 'on' })
    for (const { row, scope } of SCOPED) {
      if (row.endsWith('stream')) continue // does not end by itself
      for (const key of [scope, 'admin'] as const) {
        const { statusCode } = await ask(test, row, test.keys.with(key))
        assert.ok(statusCode !== 401 && statusCode !== 403, `${row} with ${key}: ${statusCode}`)
      }
    }
  })

  it('lets every good key into a route that takes any', async () => {
    await using test = await createTestApp({ auth: 'on' })
    for (const row of ANY) {
      for (const scope of SCOPES) {
        const { statusCode } = await ask(test, row, test.keys.with(scope))
        assert.ok(statusCode !== 401 && statusCode !== 403, `${row} with ${scope}: ${statusCode}`)
      }
    }
  })

  it('has no scope that opens no door, but that of the proxy ports', () => {
    const used = new Set(SCOPED.map(({ scope }) => scope))
    assert.deepEqual(
      SCOPES.filter((scope) => !used.has(scope)),
      ['proxy'],
    )
    const caller = { id: 'x', scopes: new Set(['fetch'] as const), limits: {}, targets: {} }
    assert.deepEqual([mayUse(caller, 'fetch'), mayUse(caller, 'admin')], [true, false])
  })
})
