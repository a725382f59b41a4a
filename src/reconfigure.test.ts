/** Parts that are told other numbers while they work: `service-reload.test.ts` sees all of them together. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AllowedHosts } from './api/caller-rules.ts'
import { ANYBODY } from './domain/caller.ts'
import { CbtorError } from './domain/errors.ts'
import type { ServiceEvent } from './domain/events.ts'
import { Problems } from './events/problems.ts'
import { RequestLog } from './events/request-log.ts'
import { createTargetPolicy, liveTargetPolicy } from './fetch/target-policy.ts'
import { CheckEndpoints, DEFAULT_CHECK_POLICY } from './health/check-endpoints.ts'
import { DEFAULT_GOVERNOR_POLICY } from './health/governor.ts'
import { PoolGovernor } from './health/pool-governor.ts'
import { FAILED, ORIGINAL_PACE, watch } from './health/test-watch.ts'
import { ALICE, createTestJobs, TEST_POLICY, testOrder } from './jobs/test-jobs.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { createLogger } from './lib/log.ts'
import { seededRandom } from './lib/random.ts'
import { Admission, NO_LIMITS } from './limits/admission.ts'
import { POLITENESS_POLICY, Politeness } from './limits/politeness.ts'
import { LINE_POLICY, WaitingLines } from './limits/waiting-lines.ts'
import { Pool } from './pool/pool.ts'
import { Upkeep } from './upkeep.ts'
import { CircuitBudget } from './workers/circuit-budget.ts'

const never = new AbortController().signal

describe('what is told other numbers', { timeout: 30_000 }, () => {
  it('a log has another level, for all of its children', () => {
    const lines: string[] = []
    const root = createLogger('warn', { write: (text) => void lines.push(JSON.parse(text).msg) }, 'json', {})
    const child = root.child({ worker: 'tor01' }).child({ n: 1 })
    const say = () => {
      for (const log of [root, child]) {
        log.debug({}, 'debug')
        log.warn({}, 'warn')
      }
      return lines.splice(0)
    }
    assert.deepEqual(say(), ['warn', 'warn'])
    root.setLevel('debug')
    assert.deepEqual(say(), ['debug', 'warn', 'debug', 'warn'])
    root.setLevel('silent')
    assert.deepEqual(say(), [])
  })

  it('lines about requests have a hash of the host, or none any more', () => {
    const told: Record<string, unknown>[] = []
    const write = (fields: Record<string, unknown>) => void told.push(fields)
    const logger = { error: write, warn: write, info: write, debug: write, child: () => logger }
    const log = new RequestLog({ clock: new FakeClock(), random: seededRandom(1), logger, targets: 'off' })
    const line = log.begin('fetch', { url: 'http://a.test/' })
    log.reconfigure('hashed')
    line.ended({})
    log.reconfigure('off')
    log.begin('fetch', { url: 'http://a.test/' }).ended({})
    assert.deepEqual(
      told.map(({ target }) => typeof target),
      ['string', 'undefined'],
    )
  })

  it('a monitor probes at the new pace at once, and judges by the new thresholds', async () => {
    await using world = watch({ policy: { ...ORIGINAL_PACE, checkEveryMs: 600_000 } })
    await world.clock.advance(1_000)
    world.worker.probe = async () => FAILED
    world.startStory()
    world.monitor.reconfigure({ ...ORIGINAL_PACE, checkEveryMs: 5_000, failsToSuspect: 1, failsToDead: 1 })
    await world.clock.advance(10_000)
    assert.deepEqual(world.story.slice(0, 4), [
      '5s probe failed',
      '5s healthy > suspect',
      '10s probe failed',
      '10s suspect > dead',
    ])
  })

  it('a governor forgets a worker that is gone: neither is it evidence, nor does it hold up the others', () => {
    const told: string[] = []
    const clock = new FakeClock()
    const governor = new PoolGovernor({ clock, onEvent: ({ type }) => void told.push(type) })
    const [a, b, c] = ['a', 'b', 'c'].map((id) => governor.ward(id))
    assert.ok(a && b && c)
    for (const ward of [a, b, c]) ward.tell({ type: 'passed' })
    a.tell({ type: 'restart-began', attempt: 1, isGone: false })
    const request = { action: { type: 'recover', attempt: 1 }, isGone: false } as const
    assert.equal(b.ask(request).at, Number.POSITIVE_INFINITY)
    governor.forget('a')
    assert.equal(b.ask(request).at, clock.monotonic())
    b.tell({ type: 'failed' })
    assert.deepEqual(told, [], 'one of two is no common cause')
    governor.reconfigure({ ...DEFAULT_GOVERNOR_POLICY, commonCauseWindowMs: 1 })
    c.tell({ type: 'failed' })
    assert.deepEqual(told, ['uplink-suspected'])
  })

  it('check endpoints that stay keep their statistics, and a worker that is gone leaves none', async () => {
    const [a, b] = ['a', 'b'].map((name) => ({ name, url: `http://${name}.test/` }))
    assert.ok(a && b)
    const checks = new CheckEndpoints({
      endpoints: [a],
      clock: new FakeClock(),
      check: async () => ({ latencyMs: 1 }),
      isWell: () => true,
    })
    for (const worker of ['tor01', 'tor02']) await checks.probe(worker, never)
    checks.reconfigure([b, { ...a }], { ...DEFAULT_CHECK_POLICY, tries: 1 })
    checks.forget('tor01')
    const seen = () => checks.statistics().map(({ name, attempts, byWorker }) => [name, attempts, [...byWorker.keys()]])
    assert.deepEqual(seen(), [
      ['b', 0, []],
      ['a', 2, ['tor02']],
    ])
    await checks.probe('tor03', never)
    assert.deepEqual(seen()[0], ['b', 1, ['tor03']])
    checks.reconfigure([], DEFAULT_CHECK_POLICY)
    assert.equal((await checks.probe('tor03', never)).verdict, 'unclear')
  })

  it('a key without limits of its own has the new ones', () => {
    const admission = new Admission({ clock: new FakeClock(), defaults: NO_LIMITS })
    const held = Array.from({ length: 3 }, () => admission.admit(ANYBODY))
    admission.reconfigure({ ...NO_LIMITS, concurrent: 2 })
    assert.throws(() => admission.admit(ANYBODY), { code: 'concurrency_limited' })
    for (const each of held.slice(1)) each[Symbol.dispose]()
    admission.admit(ANYBODY)
    admission.reconfigure({ ...NO_LIMITS, rate: 1, burst: 1 })
    admission.admit(ANYBODY)
    assert.throws(() => admission.admit(ANYBODY), { code: 'rate_limited' })
  })

  it('who waits in line waits as long as was promised; who comes is promised something else', async () => {
    const clock = new FakeClock()
    const since = clock.monotonic()
    const lines = new WaitingLines({ clock, policy: LINE_POLICY })
    const refusal = new CbtorError('overloaded', 'full')
    const enter = () =>
      lines.enter({
        ...{ key: 'a', withinMs: 60_000, signal: never, lines: () => ['pool'] },
        attempt: () => ({ line: 'pool', refusal }),
      })
    const waiting = Promise.resolve(enter()).catch(({ code }) => `${code} after ${clock.monotonic() - since} ms`)
    lines.reconfigure({ ...LINE_POLICY, waitMs: 0 })
    assert.throws(enter, { code: 'overloaded' })
    await clock.advance(5_000)
    assert.equal(await waiting, 'overloaded after 5000 ms')
  })

  it('a host gets as much as it does now, whatever it got', () => {
    const politeness = new Politeness({ clock: new FakeClock(), policy: POLITENESS_POLICY })
    const places = Array.from({ length: 4 }, () => politeness.enter('a.test', 'tor01'))
    assert.equal(politeness.busy('a.test').size, 1)
    politeness.reconfigure({ ...POLITENESS_POLICY, concurrent: 10, rate: 1_000, burst: 1_000 })
    assert.equal(politeness.everyMs, 1)
    for (const place of places) place[Symbol.dispose]()
    assert.equal(politeness.busy('a.test', false).size, 0)
  })

  it('the budget of a guard fills as it does now, for all who have it', async () => {
    const clock = new FakeClock()
    const budget = new CircuitBudget(clock, { rate: 1, burst: 2 })
    const account = budget.account()
    account.uses('G')
    for (let n = 0; n < 2; n++) account.charge()
    assert.equal(account.waitMs(), 1_000)
    budget.reconfigure({ rate: 10, burst: 20 })
    assert.equal(account.waitMs(), 100)
    await clock.advance(60_000)
    assert.equal(account.waitMs(20), 0)
  })

  it('jobs have as many fetches going as they may now, and room as they have now', async () => {
    await using test = createTestJobs({ policy: { concurrency: 1, concurrencyPerJob: 1 } })
    test.jobs.submit(ALICE, testOrder('a', 4))
    await test.clock.advance(0)
    assert.equal(test.going.length, 1)
    test.jobs.reconfigure({ ...TEST_POLICY, concurrency: 3, concurrencyPerJob: 3, maxJobsPerCaller: 1 })
    await test.clock.advance(0)
    assert.equal(test.going.length, 3)
    assert.throws(() => test.jobs.submit(ALICE, testOrder('b')), { code: 'too_many_jobs' })
    test.jobs.reconfigure({ ...TEST_POLICY, maxBytes: 1 })
    assert.throws(() => test.jobs.submit(ALICE, testOrder('c')), { code: 'too_many_jobs' })
  })

  it('an API answers for other names, and always for those of this machine', () => {
    const hosts = new AllowedHosts(['old.lan', 'other.lan:8443'])
    hosts.addLoopback(32_211, '127.0.0.1')
    const known = ['old.lan', 'old.lan:32211', 'other.lan:8443', 'New.lan', 'new.lan:443', 'localhost:32211']
    const has = () => known.filter((host) => hosts.has(host))
    assert.deepEqual(has(), ['old.lan', 'old.lan:32211', 'other.lan:8443', 'localhost:32211'])
    hosts.reconfigure(['NEW.lan'])
    assert.deepEqual(has(), ['New.lan', 'new.lan:443', 'localhost:32211'])
  })

  it('a policy for targets becomes another one, also for those who narrow it', () => {
    const live = liveTargetPolicy(createTargetPolicy())
    const mine = () => live.narrowedBy({ deny: ['b.test'] }).checkUrl('http://a.test/')
    mine()
    live.become(createTargetPolicy().narrowedBy({ deny: ['a.test'] }))
    assert.throws(mine, { code: 'target_forbidden' })
    assert.throws(() => live.checkTarget('a.test', 80), { code: 'target_forbidden' })
    assert.throws(() => live.checkName('a.test'), { code: 'target_forbidden' })
  })

  it('upkeep goes on at other intervals, and leaves no timer', async () => {
    const clock = new FakeClock(0)
    const told: string[] = []
    const member = { name: { id: 'a', n: 1 }, warmUp: async () => void told.push(`${clock.now() / 1_000}s warm`) }
    const pool = new Pool([member], { clock, random: seededRandom(1) })
    pool.setHealth('a', 'healthy')
    const rotate = () => {
      told.push(`${clock.now() / 1_000}s rotate`)
      return { acted: Promise.resolve() }
    }
    const upkeep = new Upkeep(pool, { warmEveryMs: 60_000, rotateEveryMs: undefined }, rotate, clock)
    await clock.advance(30_000)
    upkeep.reconfigure({ warmEveryMs: 10_000, rotateEveryMs: 15_000 })
    await clock.advance(20_000)
    await upkeep[Symbol.asyncDispose]()
    assert.deepEqual(told, ['40s warm', '45s rotate', '50s warm'])
    assert.equal(clock.pending, 0)
  })

  it('problems of a worker that is gone are over, and no others', () => {
    const told: ServiceEvent[] = []
    const problems = new Problems({ clock: new FakeClock(), record: (event) => void told.push(event) })
    for (const worker of ['a', 'b']) problems.open('worker_dead', { severity: 'warn', text: 'dead', worker })
    problems.open('worker_flapping', { severity: 'warn', text: 'flaps', worker: 'a' })
    problems.closeAllOf('a')
    assert.deepEqual(
      problems.list().map(({ worker }) => worker),
      ['b'],
    )
    assert.equal(told.filter(({ type }) => type === 'problem_closed').length, 2)
  })
})
