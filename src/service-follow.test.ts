import assert from 'node:assert/strict'
import { it } from 'node:test'
import { KeyRing } from './auth/key-ring.ts'
import type { DesiredState } from './domain/worker.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { silentLogger } from './lib/log.ts'
import { seededRandom } from './lib/random.ts'
import { Pool } from './pool/pool.ts'
import { followStore } from './service-follow.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import type { WorkerUnit } from './worker-unit.ts'

it('what others changed while a gateway started holds there, too', async () => {
  const clock = new FakeClock()
  using store = new SqliteStore(':memory:')
  const others = new KeyRing({ store, clock, random: seededRandom(1) })
  const { key, text } = others.create({ name: 'reader', scopes: ['fetch'] })
  // It has read what there was, and is not yet told of what is new.
  using keys = new KeyRing({ store, clock, random: seededRandom(2) })
  const followed: DesiredState[] = []
  const member = {
    name: { id: 'tor01', n: 1 },
    follow: async (desired: DesiredState) => void followed.push(desired),
  } as unknown as WorkerUnit
  const pool = new Pool([member], { clock, random: seededRandom(3), desired: new Map(), mode: 'sticky' })
  others.revoke(key.id)
  store.setMode('random')
  store.setDesiredState('tor01', 'stopped')
  const abandoned: string[] = []
  using _ = followStore({
    ...{ store: { ...bound(store), onChanged: () => ({ [Symbol.dispose]() {} }) }, pool, keys, clock },
    fetcher: { abandonWorker: (worker) => void abandoned.push(worker) },
    ...{ logger: silentLogger, life: new AbortController().signal },
  })
  await clock.advance(1)
  assert.equal(keys.authenticate(text), undefined)
  assert.equal(pool.mode, 'random')
  assert.equal(pool.get('tor01').desired, 'stopped')
  assert.deepEqual([followed, abandoned], [['stopped'], ['tor01']])
})

function bound(store: SqliteStore) {
  return { mode: () => store.mode(), desiredStates: () => store.desiredStates() }
}
