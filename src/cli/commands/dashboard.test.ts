import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startServer } from '../../api/test-server.ts'
import { adminKeyFile } from '../../auth/admin-key.ts'
import { EXIT } from '../exit-with.ts'
import { runTestCli } from '../test-cli.ts'

async function createPlace(auth: 'on' | 'off') {
  const server = await startServer({ auth })
  const state = mkdtempSync(join(tmpdir(), 'cbtor-dashboard-'))
  const { text } = server.keys.create({ name: 'admin', scopes: ['admin'] })
  writeFileSync(adminKeyFile(state), `${text}\n`, { mode: 0o600 })
  return {
    server,
    run: (argv: readonly string[], env: Record<string, string> = {}) =>
      runTestCli(['dashboard', '--api', server.url, ...argv], { CBTOR_STATE: state, ...env }),
    async [Symbol.asyncDispose]() {
      rmSync(state, { recursive: true })
      await server[Symbol.asyncDispose]()
    },
  }
}

describe('cbtor dashboard', { timeout: 30_000 }, () => {
  const IS_FOR = 'is for workers:read, workers:write, sessions, fetch, until 1970-01-01T12:16:40.000Z'

  it('makes a key for an operator that lasts 12 hours, and prints it apart from the address, which browsers remember', async () => {
    await using place = await createPlace('on')
    const { code, out, err } = await place.run([])
    assert.deepEqual([code, out], [EXIT.ok, `${place.server.url}/\ncbt_key2_secret\n`], err)
    assert.equal(err, `The key key2 ${IS_FOR}. Open the address, and paste the key there:\n`)
  })

  it('prints one address with the key in it to who asks for that', async () => {
    await using place = await createPlace('on')
    const { code, out, err } = await place.run(['--link'])
    assert.deepEqual([code, out], [EXIT.ok, `${place.server.url}/#key=cbt_key2_secret\n`], err)
    assert.equal(err, `The key key2 in it ${IS_FOR}. Open:\n`)
    const { url, key } = JSON.parse((await place.run(['--link', '--json'])).out)
    assert.deepEqual([url, key.id, key.key], [`${place.server.url}/#key=cbt_key3_secret`, 'key3', undefined])
  })

  it('makes one for less, for another address, or as JSON', async () => {
    await using place = await createPlace('on')
    const { out } = await place.run(['--scope', 'workers:read', '--url', 'https://cbtor.example/x', '--json'])
    const { url, key } = JSON.parse(out)
    assert.deepEqual(
      [url, key.id, key.key, key.scopes],
      ['https://cbtor.example/', 'key2', 'cbt_key2_secret', ['workers:read']],
    )
  })

  it('takes away those that it made before and that have expired, and no other', async () => {
    await using place = await createPlace('on')
    const { keys } = place.server
    const past = { scopes: ['workers:read' as const], expiresAt: 999_999 }
    keys.create({ ...past, name: 'dashboard' })
    keys.create({ ...past, name: 'guest' })
    keys.create({ ...past, name: 'dashboard', expiresAt: 1_000_001 })
    await place.run([])
    assert.deepEqual(
      keys.list().map(({ id, name }) => `${id} ${name}`),
      ['key1 admin', 'key3 guest', 'key4 dashboard', 'key5 dashboard'],
    )
  })

  it('makes none where nobody is asked for one', async () => {
    await using place = await createPlace('off')
    const { out, err } = await place.run([])
    assert.deepEqual([out, err], [`${place.server.url}/\n`, 'The service asks nobody for a key. Open:\n'])
    assert.deepEqual(JSON.parse((await place.run(['--json'])).out), { url: `${place.server.url}/`, key: null })
    assert.equal(place.server.keys.list().length, 1)
  })

  it('says what it cannot do', async () => {
    await using place = await createPlace('on')
    const reader = place.server.keys.create({ name: 'reader', scopes: ['workers:read'] })
    const refused = await place.run([], { CBTOR_KEY: reader.text })
    assert.equal(refused.code, EXIT.failed)
    assert.match(refused.err, /admin/)
    const unix = await runTestCli(['dashboard'], { CBTOR_LISTEN: 'unix:/run/cbtor.sock', CBTOR_STATE: '/nowhere' })
    assert.equal(unix.out, '')
    assert.match(unix.err, /listens on a unix socket \(\/run\/cbtor.sock\), which no browser opens; .*--url/)
    assert.equal((await place.run(['--scope', 'everything'])).code, EXIT.usage)
  })
})
