import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { Pool } from './pool.ts'
import { ANY, never, pinned, poolOf, take, throwsCode } from './test-pool.ts'

const worker = (n: number) => ({ name: { id: `w${n}`, n } })

describe('members that come and go', () => {
  it('take their turn once they are healthy, by their number', () => {
    const pool = poolOf(2)
    pool.add({ name: { id: 'tor03', n: 3 } })
    assert.deepEqual([take(pool), take(pool), take(pool)], ['tor01', 'tor02', 'tor01'])
    pool.setHealth('tor03', 'healthy')
    assert.deepEqual([take(pool), take(pool)], ['tor02', 'tor03'])
    pool.remove('tor02')
    assert.deepEqual([take(pool), take(pool), take(pool)], ['tor01', 'tor03', 'tor01'])
    assert.equal(pool.freeNumber, 2)
    pool.add({ name: { id: 'tor09', n: 2 } }, 'drained')
    assert.deepEqual(
      pool.entries().map(({ name, desired }) => [name.id, desired]),
      [
        ['tor01', 'enabled'],
        ['tor09', 'drained'],
        ['tor03', 'enabled'],
      ],
    )
  })

  it('have an id and a number of their own', () => {
    const pool = poolOf(2)
    assert.throws(() => pool.add({ name: { id: 'tor01', n: 9 } }), /two workers have the id tor01/)
    assert.throws(() => pool.add({ name: { id: 'x', n: 2 } }), /two workers have the n 2/)
    assert.equal(pool.entries().length, 2)
  })

  it('get no request from the moment on that they are to go, and keep those that they have', async () => {
    const pool = poolOf(2)
    const lease = pinned(pool, 'tor01')
    pool.retire('tor01')
    assert.deepEqual([take(pool), take(pool)], ['tor02', 'tor02'])
    throwsCode('conflict', /it is drained/, () => pinned(pool, 'tor01'))
    throwsCode('conflict', /it is being removed/, () => pool.enable('tor01'))
    const drained = pool.drained('tor01', never())
    lease[Symbol.dispose]()
    await drained
    pool.remove('tor01')
    throwsCode('worker_not_found', /tor01/, () => pinned(pool, 'tor01'))
    lease[Symbol.dispose]()
  })

  it('stay stopped when they were stopped', () => {
    const pool = poolOf(2, { desired: { tor01: 'stopped' } })
    pool.retire('tor01')
    assert.equal(pool.get('tor01').desired, 'stopped')
  })

  it('are told of, also to whoever waits for room', () => {
    const events: string[] = []
    const room: string[] = []
    const pool = new Pool([worker(1)], {
      ...{ clock: new FakeClock(), random: seededRandom(1) },
      onRoom: ({ id }) => void room.push(id),
    })
    pool.onEvent((event) => void events.push('worker' in event ? `${event.type} ${event.worker}` : event.type))
    pool.add(worker(2))
    pool.remove('w1')
    assert.deepEqual(events, ['joined w2', 'left w1'])
    assert.deepEqual(room, ['w1'])
  })

  it('never get a lease before they come or after they go, whatever happens in between', () => {
    const step = fc.record({
      act: fc.constantFrom('add', 'retire', 'remove', 'take', 'give', 'healthy', 'dead'),
      n: fc.integer({ min: 1, max: 5 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pool = new Pool<ReturnType<typeof worker>>([], { clock: new FakeClock(), random: seededRandom(1) })
        const model = new Map<string, { isHealthy: boolean; isLeaving: boolean; leases: number }>()
        const held: { id: string; of: object; lease: Disposable }[] = []
        for (const { act, n } of steps) {
          const id = `w${n}`
          const known = model.get(id)
          if (act === 'add' && known === undefined) {
            pool.add(worker(n))
            model.set(id, { isHealthy: false, isLeaving: false, leases: 0 })
          }
          if (act === 'take') {
            const takers = [...model].filter(([, { isHealthy, isLeaving }]) => isHealthy && !isLeaving)
            try {
              const lease = pool.acquire(ANY)
              const { id: taken } = lease.member.name
              const its = model.get(taken)
              assert.ok(its && takers.some(([each]) => each === taken), `${taken} took a request`)
              its.leases++
              held.push({ id: taken, of: its, lease })
            } catch (error) {
              assert.ok(error instanceof CbtorError && error.code === 'no_worker', String(error))
              assert.equal(takers.length, 0)
            }
          }
          if (act === 'give') {
            const given = held.shift()
            given?.lease[Symbol.dispose]()
            const its = given && model.get(given.id)
            if (its && its === given.of) its.leases--
          }
          if (known === undefined) continue
          if (act === 'retire') {
            pool.retire(id)
            known.isLeaving = true
          }
          if (act === 'remove') {
            pool.remove(id)
            model.delete(id)
          }
          if (act === 'healthy' || act === 'dead') {
            pool.setHealth(id, act)
            known.isHealthy = act === 'healthy'
          }
        }
        assert.deepEqual(
          pool.entries().map(({ name, leases }) => [name.id, leases]),
          [...model].map(([id, { leases }]) => [id, leases]).sort(),
        )
      }),
    )
  })
})
