import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { WorkerName } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { Pool } from './pool.ts'
import { poolOf, take } from './test-pool.ts'

const counts = (leases: Record<string, number>) => new Map(Object.entries(leases))

describe('Pool.setElsewhere()', () => {
  it('lets least_connections count what other replicas have on the workers', () => {
    const pool = poolOf(3)
    pool.setElsewhere('gw2', counts({ tor01: 2, tor02: 1, gone: 9 }))
    pool.setElsewhere('gw3', counts({ tor02: 2 }))
    assert.equal(take(pool, 'least_connections'), 'tor03')
    const held = [1, 2].map(() => pool.acquire({ key: 'a', mode: 'least_connections' }).member.name.id)
    assert.deepEqual(held, ['tor03', 'tor03'])
    // 2, 3 and 2 by now
    const next = [1, 2].map(() => pool.acquire({ key: 'a', mode: 'least_connections' }).member.name.id)
    assert.deepEqual(next.sort(), ['tor01', 'tor03'])
    assert.deepEqual(pool.leases(), counts({ tor01: 1, tor03: 3 }), 'only its own')
    assert.equal(pool.get('tor02').leases, 0)
  })

  it('replaces what the replica told before, and forgets it when it goes', () => {
    const pool = poolOf(2)
    pool.setElsewhere('gw2', counts({ tor01: 1 }))
    assert.deepEqual([take(pool, 'least_connections'), take(pool, 'least_connections')], ['tor02', 'tor02'])
    pool.setElsewhere('gw2', counts({ tor02: 1 }))
    assert.deepEqual([take(pool, 'least_connections'), take(pool, 'least_connections')], ['tor01', 'tor01'])
    pool.setElsewhere('gw2', undefined)
    assert.deepEqual([take(pool, 'least_connections'), take(pool, 'least_connections')], ['tor02', 'tor01'])
  })

  it('believes nobody who has not been heard for 5 s', async () => {
    const clock = new FakeClock()
    const pool = poolOf(2, { clock })
    pool.setElsewhere('gw2', counts({ tor01: 5 }))
    await clock.advance(2_000)
    pool.setElsewhere('gw3', counts({ tor01: 1, tor02: 3 }))
    await clock.advance(2_999)
    assert.equal(take(pool, 'least_connections'), 'tor02')
    await clock.advance(1)
    assert.equal(take(pool, 'least_connections'), 'tor01', 'that of gw3 holds on')
    await clock.advance(2_000)
    assert.deepEqual([take(pool, 'least_connections'), take(pool, 'least_connections')].sort(), ['tor01', 'tor02'])
    assert.equal(clock.pending, 0)
  })

  it('keeps the workers of three replicas about evenly used, each told of the others once a second', async () => {
    const clock = new FakeClock()
    const pools = [1, 2, 3].map((seed) => poolOf(5, { clock, seed }))
    for (let second = 0; second < 20; second++) {
      for (const pool of pools)
        for (let n = 0; n < 5; n++) pool.acquire({ key: 'a', mode: 'least_connections' }).stands()
      for (const [to, pool] of pools.entries())
        for (const [from, other] of pools.entries()) if (from !== to) pool.setElsewhere(`gw${from}`, other.leases())
      await clock.advance(1_000)
    }
    const sums = pools[0]
      ?.entries()
      .map(({ name: { id } }) => pools.reduce((sum, pool) => sum + pool.get(id).leases, 0))
    assert.ok(
      sums?.every((sum) => Math.abs(sum - 60) <= 10),
      String(sums),
    )
  })
})

describe('a key has the same worker at every replica', () => {
  const ids = Array.from({ length: 9 }, (_, index) => `tor${index}`)
  const orders = fc.tuple(
    ...[1, 2, 3].map(() => fc.shuffledSubarray(ids, { minLength: ids.length })),
    fc.shuffledSubarray(ids, { maxLength: 8 }),
    fc.string(),
  )

  it('whatever the order and the numbers of its workers, and whoever is dead', () => {
    fc.assert(
      fc.property(orders, ([a, b, c, dead, key]) => {
        const chosen = [a, b, c].map((order) => {
          const pool = poolFrom((order as readonly string[]).map((id, index) => ({ id, n: index + 1 })))
          for (const id of dead as readonly string[]) pool.setHealth(id, 'dead')
          return pool.acquire({ key: key as string, mode: 'sticky' }).member.name.id
        })
        assert.equal(new Set(chosen).size, 1, String(chosen))
      }),
    )
  })
})

function poolFrom(names: readonly WorkerName[]) {
  const members = names.map((name) => ({ name }))
  const pool = new Pool(members, { clock: new FakeClock(), random: seededRandom(1), maxLeases: 1_000 })
  for (const { id } of names) pool.setHealth(id, 'healthy')
  return pool
}
