import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { Pool } from './pool.ts'
import { ANY, poolOf, throwsCode } from './test-pool.ts'

const NONE: ReadonlySet<string> = new Set()

describe('a worker that is busy with the target', () => {
  it('is passed over while another one is not', () => {
    const pool = poolOf(2)
    const busy = new Set(['tor01'])
    for (let n = 0; n < 3; n++) assert.equal(pool.acquire(ANY, NONE, busy).member.name.id, 'tor02')
  })

  it('is a reason to wait for it, not a lack of workers', () => {
    const pool = poolOf(2, { health: ['healthy', 'dead'] })
    const busy = new Set(['tor01'])
    throwsCode(
      'target_busy',
      /of 2 workers 1 is as busy with the target as politeness allows, 1 is dead/,
      () => pool.acquire(ANY, NONE, busy),
      undefined,
    )
    throwsCode('target_busy', /worker "tor01": it is as busy/, () =>
      pool.acquire({ ...ANY, workerId: 'tor01' }, NONE, busy),
    )
    throwsCode('no_worker', /"tor02": it is dead/, () => pool.acquire({ ...ANY, workerId: 'tor02' }, NONE, busy))
  })

  it('is waited for also where the others are full', () => {
    const pool = poolOf(2, { maxLeases: 1 })
    pool.acquire({ ...ANY, workerId: 'tor02' })
    throwsCode('target_busy', /1 is as busy .*, 1 is at the limit/, () => pool.acquire(ANY, NONE, new Set(['tor01'])))
    throwsCode('overloaded', /1 is tried already, 1 is at the limit/, () =>
      pool.acquire(ANY, new Set(['tor01']), new Set(['tor01'])),
    )
  })
})

it('tells where room has come', () => {
  const rooms: string[] = []
  const members = [1, 2].map((n) => ({ name: { id: `tor0${n}`, n } }))
  const onRoom = ({ id }: { readonly id: string }) => rooms.push(id)
  const pool = new Pool(members, { clock: new FakeClock(), random: seededRandom(1), onRoom })
  const after = (act: () => void) => {
    rooms.length = 0
    act()
    return [...rooms]
  }
  assert.deepEqual(
    after(() => pool.setHealth('tor01', 'healthy')),
    ['tor01'],
  )
  const lease = pool.acquire(ANY)
  assert.deepEqual(
    after(() => lease.stands()),
    ['tor01'],
  )
  assert.deepEqual(
    after(() => lease[Symbol.dispose]()),
    ['tor01'],
  )
  assert.deepEqual(
    after(() => lease[Symbol.dispose]()),
    [],
  )
  assert.deepEqual(
    after(() => pool.setDesired('tor02', 'drained')),
    ['tor02'],
  )
  assert.deepEqual(
    after(() => pool.setHealth('tor01', 'dead')),
    ['tor01'],
  )
})
