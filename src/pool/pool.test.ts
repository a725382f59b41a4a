import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import { MODES } from '../domain/exchange.ts'
import type { DesiredState, HealthState } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { type Lease, Pool, type PoolEvent } from './pool.ts'

const ANY = { key: 'example.com' }

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

describe('draining', { timeout: 10_000 }, () => {
  it('grants no new lease, lets the running ones finish, and tells when they have', async () => {
    const pool = poolOf(2)
    const [first, second] = [pinned(pool, 'tor01'), pinned(pool, 'tor01')]
    pool.drain('tor01')
    let isDrained = false
    const drained = pool.drained('tor01', never()).then(() => {
      isDrained = true
    })
    for (let i = 0; i < 10; i++) assert.equal(take(pool), 'tor02')
    first[Symbol.dispose]()
    await turnOfTheLoop()
    assert.equal(isDrained, false)
    second[Symbol.dispose]()
    await drained
    await pool.drained('tor01', never())
    pool.enable('tor01')
    assert.ok([take(pool), take(pool)].includes('tor01'))
  })

  it('refuses to take away the last worker that can take requests, unless forced', () => {
    const pool = poolOf(3, { health: ['healthy', 'dead'], desired: { tor03: 'drained' } })
    throwsCode('conflict', /"tor01": no other could take requests/, () => pool.drain('tor01'))
    assert.equal(pool.get('tor01').desired, 'enabled')
    pool.drain('tor02')
    pool.drain('tor01', { force: true })
    assert.equal(pool.get('tor01').desired, 'drained')
    pool.drain('tor01')
  })

  it('refuses to drain the last enabled worker even while it is dead: healing it would give nothing', () => {
    const pool = poolOf(2, { health: ['dead', 'healthy'], desired: { tor02: 'drained' } })
    throwsCode('conflict', /no other/, () => pool.drain('tor01'))
  })

  it('does not weaken a stop to a drain', () => {
    const pool = poolOf(2, { desired: { tor01: 'stopped' } })
    throwsCode('conflict', /it is stopped/, () => pool.drain('tor01', { force: true }))
  })

  it('stops waiting when the worker is enabled again or the caller gives up', async () => {
    const pool = poolOf(2)
    using _ = pinned(pool, 'tor01')
    await assert.rejects(pool.drained('tor01', never()), { code: 'conflict' })
    pool.drain('tor01')

    const enabled = assert.rejects(pool.drained('tor01', never()), { code: 'conflict' })
    pool.enable('tor01')
    await enabled

    pool.drain('tor01')
    const controller = new AbortController()
    const aborted = assert.rejects(pool.drained('tor01', controller.signal), /enough/)
    controller.abort(new Error('enough'))
    await aborted
  })
})

const WISHES = ['enabled', 'drained', 'stopped'] as const
const STATES = ['starting', 'healthy', 'suspect', 'dead', 'recovery'] as const

interface Setup {
  clock?: FakeClock
  /** By number; healthy where nothing is said. */
  health?: HealthState[]
  desired?: Record<string, DesiredState>
}

/** A pool of `count` workers tor01, tor02, … */
function poolOf(count: number, { clock = new FakeClock(), health = [], desired = {} }: Setup = {}) {
  const members = Array.from({ length: count }, (_, index) => ({ name: { id: `tor0${index + 1}`, n: index + 1 } }))
  const pool = new Pool(members, { clock, random: seededRandom(1), desired: new Map(Object.entries(desired)) })
  for (const { name } of members) pool.setHealth(name.id, health[name.n - 1] ?? 'healthy')
  return pool
}

/** Takes a lease and gives it back: the worker's id. */
function take(pool: ReturnType<typeof poolOf>, mode?: (typeof MODES)[number]): string {
  using lease = pool.acquire(mode === undefined ? ANY : { ...ANY, mode })
  return lease.member.name.id
}

function pinned(pool: ReturnType<typeof poolOf>, workerId: string) {
  return pool.acquire({ ...ANY, workerId })
}

function throwsCode(code: string, message: RegExp, act: () => unknown, ...retryAfter: (number | undefined)[]): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof CbtorError)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    if (retryAfter.length > 0) assert.equal(error.retryAfterMs, retryAfter[0])
    return true
  })
}

function never(): AbortSignal {
  return new AbortController().signal
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
