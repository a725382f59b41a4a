import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { startValkey } from '../../test/valkey.ts'
import { openStore } from '../cluster/open-store.ts'
import { poolSecret } from '../cluster/pool-secret.ts'
import { parseConfig } from '../config/read-config.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { checkSharedStore } from './shared-store.ts'

const never = new AbortController().signal
const state = mkdtempSync(join(tmpdir(), 'cbtor-doctor-store-'))
after(() => rmSync(state, { recursive: true }))

it('the doctor sees whether the shared store answers, is ours, and keeps what it is given', {
  timeout: 60_000,
}, async () => {
  const check = async (store: string, cluster: object = {}) => {
    const config = parseConfig({ state, store, cluster: { replica: 'gw1', ...cluster } }, {})
    const found = await checkSharedStore(config, { clock: systemClock, version: '1.0.0' }, never)
    return found.map(({ verdict, text, mend }) => `${verdict}: ${text}${mend === undefined ? '' : ` (${mend})`}`)
  }
  assert.deepEqual(await check('embedded'), [])
  await using store = await startValkey({ tcp: true, password: 'planted' })
  const password = { password_file: join(state, 'password') }
  assert.match((await check(store.url)).join(), /^wrong: .*does not let us in/)
  assert.match((await check(store.url, password)).join(), /^wrong: Cannot read the password .*: there is none/)
  writeFileSync(password.password_file, 'planted\n', { mode: 0o600 })
  assert.match((await check(store.url, password)).join(), /^ok: Redis \S+ at 127\.0\.0\.1:\d+, whose is not known/)

  const secret = poolSecret(join(state, 'pool-secret'), systemRandom)
  assert.match((await check(store.url, password)).join(), /, new$/)
  const how = { url: store.url, password: 'planted', ca: undefined, prefix: 'cbtor', secret, replica: 'gw1' }
  const parts = { clock: systemClock, random: systemRandom, logger: silentLogger }
  await using _link = await openStore({ ...how, ...parts, version: '1.0.0', waitMs: 0 }, never)
  assert.match((await check(store.url, password)).join(), /^ok: .*, of this pool$/)
  const other = { ...password, secret_file: join(state, 'other') }
  poolSecret(other.secret_file, systemRandom)
  assert.match((await check(store.url, other)).join(), /^wrong: .*another pool uses the prefix cbtor/)

  await store.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  await store.cli('CONFIG', 'SET', 'appendonly', 'no')
  const worries = await check(store.url, password)
  assert.match(worries.join('\n'), /^warning: .*forgets .*noeviction\)\nwarning: .*loses .*appendonly yes\)$/)
  await store.stop()
  assert.match((await check(store.url, password)).join(), /^wrong: Cannot reach the shared store at .*\(Start it/)
})
