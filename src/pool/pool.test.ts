import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MODES } from '../domain/exchange.ts'
import type { DesiredState, HealthState } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { type Lease, Pool, type PoolEvent } from './pool.ts'
import { ANY, pinned, poolOf, take, throwsCode } from './test-pool.ts'

describe('Pool', { timeout: 10_000 }, () => {
  it('rotates over the healthy workers unless told otherwise', () => {
    const pool = poolOf(3)
    assert.equal(pool.mode, 'round_robin')
    assert.deepEqual([take(pool), take(pool), take(pool), take(pool)], ['tor01', 'tor02', 'tor03', 'tor01'])
  })

  it('follows the global mode, and the mode of a request before it', () => {
    const pool = poolOf(3)
    pool.setMode('failover')
    assert.deepEqual([take(pool), take(pool)], ['tor01', 'tor01'])
    assert.equal(pool.acquire({ ...ANY, mode: 'failover' }, new Set(['tor01'])).member.name.id, 'tor02')
    pool.setMode('round_robin')
    assert.deepEqual(
      [take(pool, 'failover'), take(pool), take(pool, 'failover'), take(pool)],
      ['tor01', 'tor01', 'tor01', 'tor02'],
    )
  })

  it('does not choose a worker that was tried', () => {
    const pool = poolOf(3)
    const tried = new Set<string>()
    for (let i = 0; i < 3; i++) {
      using lease = pool.acquire(ANY, tried)
      tried.add(lease.member.name.id)
    }
    assert.equal(tried.size, 3)
    throwsCode('no_worker', /all 3 are tried already/, () => pool.acquire(ANY, tried))
  })

  it('counts leases and gives each back once, however often it is disposed', () => {
    const pool = poolOf(1)
    const first = pool.acquire(ANY)
    const second = pool.acquire(ANY)
    assert.equal(pool.get('tor01').leases, 2)
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    assert.equal(pool.get('tor01').leases, 1)
    second[Symbol.dispose]()
    assert.equal(pool.get('tor01').leases, 0)
  })

  it('counts a tunnel that stands as a lease, but not for how many there are at most', () => {
    const pool = poolOf(1, { maxLeases: 1 })
    const tunnel = pool.acquire(ANY)
    throwsCode('overloaded', /.*/, () => pool.acquire(ANY))
    tunnel.stands()
    tunnel.stands()
    const next = pool.acquire(ANY)
    assert.equal(pool.get('tor01').leases, 2)
    throwsCode('overloaded', /.*/, () => pool.acquire(ANY))
    next[Symbol.dispose]()
    tunnel[Symbol.dispose]()
    tunnel.stands()
    assert.equal(pool.get('tor01').leases, 0)
    pool.acquire(ANY)
    throwsCode('overloaded', /.*/, () => pool.acquire(ANY))
  })

  it('notes when a worker was last used', async () => {
    const clock = new FakeClock(5_000)
    const pool = poolOf(2, { clock })
    assert.equal(pool.get(1).lastUsedAt, undefined)
    await clock.advance(1_500)
    take(pool)
    assert.equal(pool.get(1).lastUsedAt, 6_500)
    assert.equal(pool.get(2).lastUsedAt, undefined)
  })

  it('says why there is no worker, and when a retry makes sense', () => {
    throwsCode('no_worker', /none is configured$/, () => poolOf(0).acquire(ANY), undefined)
    throwsCode('no_worker', /the only worker is dead$/, () => poolOf(1, { health: ['dead'] }).acquire(ANY), 5_000)
    throwsCode('no_worker', /all 2 are starting$/, () => poolOf(2, { health: ['starting', 'starting'] }).acquire(ANY))
    throwsCode(
      'no_worker',
      /of 4 workers 2 are dead, 1 is in recovery, 1 is drained$/,
      () => poolOf(4, { health: ['dead', 'recovery', 'dead'], desired: { tor04: 'drained' } }).acquire(ANY),
      5_000,
    )
    const drained = poolOf(2, { desired: { tor01: 'drained', tor02: 'drained' } })
    throwsCode('no_worker', /all 2 are drained$/, () => drained.acquire(ANY), undefined)
  })

  it('takes a named worker or none', () => {
    const pool = poolOf(4, { health: ['healthy', 'suspect', 'dead'], desired: { tor04: 'drained' } })
    assert.equal(pool.acquire({ ...ANY, workerId: 'tor02' }).member.name.id, 'tor02')
    assert.equal(pool.acquire({ ...ANY, workerId: '1' }).member.name.id, 'tor01')
    throwsCode('no_worker', /"tor03": it is dead/, () => pool.acquire({ ...ANY, workerId: 'tor03' }), 5_000)
    throwsCode('conflict', /"tor04": it is drained/, () => pool.acquire({ ...ANY, workerId: 'tor04' }))
    throwsCode('worker_not_found', /"tor09"/, () => pool.acquire({ ...ANY, workerId: 'tor09' }))
    throwsCode('no_worker', /tried already/, () => pool.acquire({ ...ANY, workerId: 'tor01' }, new Set(['tor01'])))
  })

  it('lets the next worker take over from one at its limit, and says when all of them are', () => {
    const pool = poolOf(3, { maxLeases: 2, health: ['healthy', 'healthy', 'dead'] })
    const held = [pool.acquire({ ...ANY, mode: 'failover' }), pool.acquire({ ...ANY, mode: 'failover' })]
    throwsCode('overloaded', /"tor01": it is at the limit/, () => pinned(pool, 'tor01'), 1_000)
    held.push(pool.acquire({ ...ANY, mode: 'failover' }), pool.acquire({ ...ANY, mode: 'sticky' }))
    assert.deepEqual(
      held.map(({ member }) => member.name.id),
      ['tor01', 'tor01', 'tor02', 'tor02'],
    )
    throwsCode('overloaded', /of 3 workers 2 are at the limit, 1 is dead/, () => pool.acquire(ANY), 1_000)
    held[0]?.[Symbol.dispose]()
    assert.equal(pool.acquire(ANY).member.name.id, 'tor01')
  })

  it('brings a worker back slowly after a failure, but not at the start of the service', async () => {
    const clock = new FakeClock()
    const pool = poolOf(2, { clock })
    const turnsOf = (id: string) => Array.from({ length: 400 }, () => take(pool)).filter((taken) => taken === id).length
    assert.equal(turnsOf('tor01'), 200)
    pool.setHealth('tor01', 'dead')
    assert.equal(turnsOf('tor01'), 0)
    pool.setHealth('tor01', 'healthy')
    const turns = [turnsOf('tor01')]
    for (const ms of [30_000, 29_999, 1]) {
      await clock.advance(ms)
      turns.push(turnsOf('tor01'))
    }
    const [first = 0, half = 0, almost = 0, full = 0] = turns
    assert.ok(first > 10 && first < 80, `${first} of 400 at a tenth`)
    assert.ok(half > 100 && half < 180, `${half} of 400 at a half`)
    assert.ok(almost > 190, `${almost} of 400 just before the end`)
    assert.equal(full, 200)
    pool.setHealth('tor01', 'dead')
    pool.setHealth('tor01', 'healthy', { slowStart: false })
    assert.equal(turnsOf('tor01'), 200)
  })

  it('asks a worker in doubt last, until it is told otherwise or the worker becomes healthy', () => {
    const pool = poolOf(2)
    pool.setDoubt('tor01', true)
    assert.deepEqual([take(pool), take(pool)], ['tor02', 'tor02'])
    assert.equal(pool.acquire(ANY, new Set(['tor02'])).member.name.id, 'tor01')
    pool.setDoubt('tor01', false)
    assert.ok([take(pool), take(pool)].includes('tor01'))
    pool.setDoubt('tor01', true)
    pool.setHealth('tor01', 'suspect')
    assert.equal(pool.get('tor01').isDoubted, true)
    pool.setHealth('tor01', 'healthy')
    assert.equal(pool.get('tor01').isDoubted, false)
  })

  it('refuses two workers of one name', () => {
    const options = { clock: new FakeClock(), random: seededRandom(1) }
    const [a, b] = [{ name: { id: 'tor01', n: 1 } }, { name: { id: 'tor01', n: 2 } }]
    assert.throws(() => new Pool([a, b], options), /two workers have the id tor01/)
    assert.throws(() => new Pool([a, { name: { id: 'tor02', n: 1 } }], options), /two workers have the n 1/)
  })

  it('tells its listeners what changed, and only what changed', () => {
    const pool = poolOf(2)
    const events: PoolEvent[] = []
    const listening = pool.onEvent((event) => events.push(event))
    pool.setHealth('tor01', 'healthy')
    pool.setHealth('tor01', 'suspect')
    pool.drain('tor01')
    pool.drain('tor01')
    pool.setMode('random')
    listening[Symbol.dispose]()
    pool.setMode('sticky')
    assert.deepEqual(events, [
      { type: 'health-changed', worker: 'tor01', from: 'healthy', to: 'suspect' },
      { type: 'desired-changed', worker: 'tor01', from: 'enabled', to: 'drained' },
      { type: 'mode-changed', from: 'round_robin', to: 'random' },
    ])
  })

  it('keeps its books through any history of leases, wishes and health', () => {
    const worker = fc.integer({ min: 1, max: 3 }).map((n) => `tor0${n}`)
    const command = fc.oneof(
      fc.record({ do: fc.constant('acquire' as const), mode: fc.constantFrom(...MODES), key: fc.string() }),
      fc.record({ do: fc.constant('release' as const), which: fc.nat(20) }),
      fc.record({ do: fc.constant('wish' as const), worker, to: fc.constantFrom<DesiredState>(...WISHES) }),
      fc.record({ do: fc.constant('see' as const), worker, to: fc.constantFrom<HealthState>(...STATES) }),
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        const pool = poolOf(3)
        const held: Lease<{ name: { id: string } }>[] = []
        for (const step of commands) {
          const before = pool.entries()
          if (step.do === 'wish') pool.setDesired(step.worker, step.to)
          if (step.do === 'see') pool.setHealth(step.worker, step.to)
          if (step.do === 'release') held.splice(step.which, 1)[0]?.[Symbol.dispose]()
          if (step.do === 'acquire') {
            const open = before.filter(
              ({ desired, health }) => desired === 'enabled' && ['healthy', 'suspect'].includes(health),
            )
            if (open.length === 0) throwsCode('no_worker', /./, () => pool.acquire(step))
            else {
              const lease = pool.acquire(step)
              assert.ok(open.some(({ name }) => name.id === lease.member.name.id))
              held.push(lease)
            }
          }
          for (const { name, leases } of pool.entries()) {
            assert.equal(leases, held.filter(({ member }) => member.name.id === name.id).length)
          }
        }
      }),
    )
  })
})

const WISHES = ['enabled', 'drained', 'stopped'] as const
const STATES = ['starting', 'healthy', 'suspect', 'dead', 'recovery'] as const
