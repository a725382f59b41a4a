import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from './lib/fake-clock.ts'
import { silentLogger } from './lib/log.ts'
import { seededRandom } from './lib/random.ts'
import { Pool } from './pool/pool.ts'
import { changeWorkers } from './service-transition.ts'
import { FakeDriver } from './workers/fake/fake-driver.ts'

it('a worker whose name another gateway’s has is not taken in, and the others are', async () => {
  const clock = new FakeClock()
  const peer = { name: { id: 'gw2-tor01', n: 1 } }
  const pool = new Pool<{ readonly name: { readonly id: string; readonly n: number } }>([peer], {
    ...{ clock, random: seededRandom(1), desired: new Map(), mode: 'sticky' },
  })
  const coming = (id: string) => ({ id, driver: new FakeDriver({ id, targets: new Map(), exits: [] }) })
  const never = new AbortController().signal
  const left = await changeWorkers(
    { come: [coming('gw2-tor01'), coming('tor02')], leave: [], renew: [] },
    {
      workers: {
        pool: pool as never,
        add: (id) => pool.add({ name: { id, n: pool.freeNumber } }),
        remove: async () => assert.fail('nothing is to leave'),
      },
      ...{ clock, logger: silentLogger, life: never, superseded: never },
    },
  )
  assert.deepEqual(left, ['gw2-tor01'])
  assert.deepEqual(
    pool.entries().map(({ name }) => name.id),
    ['gw2-tor01', 'tor02'],
  )
})
