import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startServer } from '../../api/test-server.ts'
import { adminKeyFile } from '../../auth/admin-key.ts'
import { KeyRing } from '../../auth/key-ring.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { systemRandom } from '../../lib/random.ts'
import { SqliteStore } from '../../store/sqlite-store.ts'
import { EXIT } from '../exit-with.ts'
import { keyAtHand } from '../service-client.ts'
import { runTestCli } from '../test-cli.ts'

/** A service that asks for keys, and the state directory with the key of an admin. */
async function createPlace() {
  const server = await startServer({ auth: 'on' })
  const state = mkdtempSync(join(tmpdir(), 'cbtor-keys-'))
  const { text } = server.keys.create({ name: 'admin', scopes: ['admin'] })
  writeFileSync(adminKeyFile(state), `${text}\n`, { mode: 0o600 })
  return {
    ...{ server, state, admin: text },
    run: (argv: readonly string[], env: Record<string, string> = {}) =>
      runTestCli(['keys', ...argv, '--api', server.url], { CBTOR_STATE: state, ...env }),
    async [Symbol.asyncDispose]() {
      rmSync(state, { recursive: true })
      await server[Symbol.asyncDispose]()
    },
  }
}

describe('cbtor keys', { timeout: 30_000 }, () => {
  it('makes a key that can be piped on, lists it without its secret, and revokes it', async () => {
    await using place = await createPlace()
    const made = await place.run([
      ...['create', 'a crawler', '--scope', 'fetch', 'proxy', '--expires', '12h', '--rate', '0.5', '--burst', '10'],
      ...['--bytes-per-day', '1000', '--allow', 'example.com', ':443', '--deny', 'www.example.com'],
    ])
    assert.deepEqual([made.code, made.out], [EXIT.ok, 'cbt_key2_secret\n'], made.err)
    assert.match(
      made.err,
      /^The key key2 \(a crawler\) is for fetch, proxy, until 1970-01-01T12:16:40.000Z\. It is shown this once:\n$/,
    )
    const list = await place.run(['list'])
    assert.match(
      list.out,
      /^id +name +scopes +made +expires +last used +limits\nkey1 +admin +admin +1970-01-01 00h +never +never\n/,
    )
    assert.match(
      list.out,
      /^key2 +a crawler +fetch proxy +1970-01-01 00h +1970-01-01 12h +never +0\.5\/s, burst 10, 1000 bytes a day, only example\.com :443, not www\.example\.com$/m,
    )
    const revoked = await place.run(['revoke', 'key2'])
    assert.deepEqual([revoked.code, revoked.out], [EXIT.ok, 'key2 (a crawler) is revoked.\n'])
    const again = await place.run(['revoke', 'key2'])
    assert.deepEqual([again.code, again.out], [EXIT.failed, ''])
    assert.match(again.err, /^cbtor: Cannot revoke /)
  })

  it('speaks JSON', async () => {
    await using place = await createPlace()
    const made = JSON.parse((await place.run(['create', 'x', '--scope', 'workers:read', '--json'])).out)
    assert.deepEqual([made.key, made.scopes], ['cbt_key2_secret', ['workers:read']])
    const { keys } = JSON.parse((await place.run(['list', '--json'])).out)
    assert.deepEqual(
      keys.map(({ id }: { id: string }) => id),
      ['key1', 'key2'],
    )
    assert.equal(JSON.parse((await place.run(['revoke', 'key2', '--json'])).out).id, 'key2')
  })

  it('sends no key in the clear to another machine', async () => {
    const env = { CBTOR_KEY: 'cbt_a_b' }
    for (const api of ['http://192.0.2.1:32211', 'HTTP://192.0.2.1:32211']) {
      const { code, err } = await runTestCli(['keys', 'list', '--api', api], env)
      assert.equal(code, EXIT.failed)
      assert.match(err, /Cannot send the key to http:\/\/192\.0\.2\.1:32211, .*: expected https/i)
      assert.equal(keyAtHand(api, { api }, { env }), undefined)
    }
    assert.equal(keyAtHand('http://192.0.2.1:32211', {}, { env }), undefined)
    assert.equal(keyAtHand('https://192.0.2.1:32211', {}, { env }), 'cbt_a_b')
  })

  it('takes the key from CBTOR_KEY before that of the state directory, and says what is missing without either', async () => {
    await using place = await createPlace()
    const reader = place.server.keys.create({ name: 'reader', scopes: ['workers:read'] }).text
    const poor = await place.run(['list'], { CBTOR_KEY: reader })
    assert.match(poor.err, /it takes a key with the scope "admin"/)
    rmSync(adminKeyFile(place.state))
    const none = await place.run(['list'])
    assert.equal(none.code, EXIT.failed)
    assert.match(
      none.err,
      /Cannot take the request without a key.* The key is taken from CBTOR_KEY, else from admin\.key/,
    )
    assert.equal((await place.run(['list'], { CBTOR_KEY: place.admin })).code, EXIT.ok)
  })

  it('shows the key of this machine to no other one, nor uses one that others could read', async () => {
    await using place = await createPlace()
    const keyFor = (api?: string) =>
      keyAtHand(api ?? 'http://127.0.0.1:2', { ...(api && { api }), state: place.state }, { env: {} })
    for (const api of [undefined, 'http://127.0.0.1:1', 'http://[::1]:1', 'https://localhost', 'unix:/run/cbtor.sock'])
      assert.equal(keyFor(api), place.admin, api)
    for (const api of ['http://192.0.2.1:32211', 'https://127.0.0.1.example', 'http://localhost@evil.test', 'nonsense'])
      assert.equal(keyFor(api), undefined, api)
    chmodSync(adminKeyFile(place.state), 0o644)
    const open = await place.run(['list'])
    assert.match(open.err, /others than its owner may read it \(mode 644\): chmod 600/)
    assert.deepEqual(place.server.keys.shown, [])
  })

  it('takes wrong words for wrong usage', async () => {
    await using place = await createPlace()
    for (const argv of [
      ['create', 'x'],
      ['create', 'x', '--scope', 'root'],
      ['create', 'x', '--scope', 'fetch', '--expires', '5'],
      ['create', 'x', '--scope', 'fetch', '--expires', '999999999d'],
    ])
      assert.equal((await place.run(argv)).code, EXIT.usage, argv.join(' '))
    const refused = await place.run(['create', 'x', '--scope', 'fetch', '--burst', '0.5'])
    assert.deepEqual([refused.code, refused.out], [EXIT.failed, ''])
    assert.match(refused.err, /limits\/burst must be a whole number/)
  })

  it('makes another admin key in the store of a service that is stopped, and only then', async () => {
    await using place = await createPlace()
    const { state } = place
    const reset = () => runTestCli(['keys', 'reset-admin', '--state', state], {})
    assert.match((await reset()).err, /Cannot reset the admin key: no service has run in /)
    const ringOf = (store: SqliteStore) => new KeyRing({ store, clock: new FakeClock(), random: systemRandom })
    let past: string
    {
      using store = new SqliteStore(join(state, 'cbtor.db'))
      past = ringOf(store).create({ name: 'admin', scopes: ['admin'] }).text
      assert.match((await reset()).err, /another service uses it/)
    }
    const { code, out } = await reset()
    assert.equal(code, EXIT.ok)
    assert.equal(readFileSync(adminKeyFile(state), 'utf8'), out)
    using store = new SqliteStore(join(state, 'cbtor.db'))
    assert.ok(ringOf(store).authenticate(out.trim())?.scopes.has('admin'))
    assert.equal(ringOf(store).authenticate(past), undefined)
  })
})
