import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { parseOnionAddress } from '../lib/onion-address.ts'
import { CheckEndpoints } from './check-endpoints.ts'
import { type CheckEndpoint, planOnionCheck, planProbe } from './check-plan.ts'
import { CheckTally } from './check-statistics.ts'
import { ONION_TEST_SITES } from './onion-test-sites.ts'

const A: CheckEndpoint = { name: 'a', url: 'https://a.test/ip' }
const B: CheckEndpoint = { name: 'b', url: 'https://b.test/ip' }
const C: CheckEndpoint = { name: 'c', url: 'https://c.test/ip' }
const [DUCK, PROPUBLICA] = ONION_TEST_SITES as [CheckEndpoint, CheckEndpoint]
const never = new AbortController().signal

describe('ONION_TEST_SITES', () => {
  it('are six valid onion addresses', () => {
    assert.equal(ONION_TEST_SITES.length, 6)
    for (const { url } of ONION_TEST_SITES) assert.ok(parseOnionAddress(new URL(url).hostname).ok, url)
  })
})

describe('planProbe()', () => {
  it('rotates the clearnet endpoints and lets onion services fill up what is left', () => {
    const names = (turn: number) => planProbe([DUCK, A, B, PROPUBLICA], turn, 3).map(({ name }) => name)
    assert.deepEqual(names(0), ['a', 'b', 'DuckDuckGo'])
    assert.deepEqual(names(1), ['b', 'a', 'ProPublica'])
    assert.deepEqual(names(2), ['a', 'b', 'DuckDuckGo'])
    assert.deepEqual(planProbe([A, B, C, DUCK], 0, 3), [A, B, C])
    assert.deepEqual(planProbe([DUCK], 5, 3), [DUCK])
    assert.deepEqual(planProbe([], 5, 3), [])
  })
})

describe('planOnionCheck()', () => {
  it('gives every pair of site and worker its turn', () => {
    const workers = ['tor01', 'tor02', 'tor03', 'tor04']
    const pairs = new Set<string>()
    for (let turn = 0; turn < 24; turn++) {
      const next = planOnionCheck([A, ...ONION_TEST_SITES], workers, turn)
      pairs.add(`${next?.endpoint.name} by ${next?.worker}`)
    }
    assert.equal(pairs.size, 24)
    assert.equal(planOnionCheck([A], workers, 0), undefined)
    assert.equal(planOnionCheck(ONION_TEST_SITES, [], 0), undefined)
  })
})

describe('CheckTally', () => {
  it('counts, and has the percentiles of the latest hundred successes', () => {
    const tally = new CheckTally()
    assert.equal(tally.statistics().p50Ms, undefined)
    for (let ms = 1; ms <= 1_000; ms++) tally.add({ ok: true, latencyMs: ms }, ms)
    tally.add({ ok: false, message: 'x'.repeat(1_000) }, 2_000)
    assert.deepEqual(tally.statistics(), {
      attempts: 1_001,
      successes: 1_000,
      failures: 1,
      lastError: { at: 2_000, message: 'x'.repeat(300) },
      lastSuccessAt: 1_000,
      p50Ms: 950,
      p95Ms: 995,
    })
  })
})

describe('CheckEndpoints', { timeout: 10_000 }, () => {
  it('passes when the first endpoint passes, and asks no other', async () => {
    const { checks, asked } = setUp([A, B])
    assert.deepEqual(await checks.probe('tor01', never), { verdict: 'passed' })
    assert.deepEqual(asked, ['tor01 a'])
    const [a, b] = checks.statistics()
    assert.equal(a?.successes, 1)
    assert.equal(a?.byWorker.get('tor01')?.p50Ms, 40)
    assert.equal(b?.attempts, 0)
  })

  it('tries a second and a third endpoint before a probe has failed', async () => {
    const { checks, asked, site } = setUp([A, B, C])
    site.a = site.b = 'HTTP 500'
    assert.deepEqual(await checks.probe('tor01', never), { verdict: 'passed' })
    site.c = 'HTTP 500'
    assert.deepEqual(await checks.probe('tor01', never), {
      verdict: 'failed',
      reason: 'b: HTTP 500; c: HTTP 500; a: HTTP 500',
    })
    assert.deepEqual(asked, ['tor01 a', 'tor01 b', 'tor01 c', 'tor01 b', 'tor01 c', 'tor01 a'])
    assert.deepEqual(
      checks.statistics().map(({ attempts, failures }) => [attempts, failures]),
      [
        [2, 2],
        [2, 2],
        [2, 1],
      ],
    )
  })

  it('tries the next endpoint beside one that is slow, and does not count what it withdraws', async () => {
    const { checks, clock, asked, site, signals } = setUp([A, B])
    site.a = 'hangs'
    const probing = checks.probe('tor01', never)
    await clock.advance(2_499)
    assert.deepEqual(asked, ['tor01 a'])
    await clock.advance(1)
    assert.deepEqual(await probing, { verdict: 'passed' })
    assert.ok(signals[0]?.aborted, 'the slow check goes on')
    assert.equal(checks.statistics()[0]?.attempts, 0)
    assert.equal(clock.pending, 0)
  })

  it('fails a probe that has no answer in time, and counts it', async () => {
    const { checks, clock, site } = setUp([A])
    site.a = 'hangs'
    const probing = checks.probe('tor01', never)
    await clock.advance(8_000)
    assert.deepEqual(await probing, { verdict: 'failed', reason: 'a: no answer in 8000 ms' })
    assert.equal(checks.statistics()[0]?.failures, 1)
    assert.equal(clock.pending, 0)
  })

  it('counts nothing when the probe is aborted', async () => {
    const { checks, clock, site } = setUp([A])
    site.a = 'hangs'
    const controller = new AbortController()
    const probing = assert.rejects(checks.probe('tor01', controller.signal), /shutting down/)
    controller.abort(new Error('shutting down'))
    await probing
    assert.equal(checks.statistics()[0]?.attempts, 0)
    assert.equal(clock.pending, 0)
  })

  it('blames no worker for a site that fails for all', async () => {
    const { checks, site, clock } = setUp([A])
    for (const worker of ['tor01', 'tor02', 'tor03']) await checks.probe(worker, never)
    await clock.advance(10_000)
    site.a = 'HTTP 500'
    const verdicts = []
    for (let round = 0; round < 3; round++) {
      for (const worker of ['tor01', 'tor02', 'tor03']) {
        verdicts.push((await checks.probe(worker, never)).verdict)
        await clock.advance(3_000)
      }
    }
    assert.deepEqual(new Set(verdicts), new Set(['unclear']))
  })

  it('blames a worker for failing where another has just passed', async () => {
    const { checks, site } = setUp([A])
    await checks.probe('tor02', never)
    site['tor01 a'] = 'no circuit'
    site['tor03 a'] = 'no circuit'
    for (let i = 0; i < 3; i++) {
      assert.equal((await checks.probe('tor03', never)).verdict, 'failed')
      assert.equal((await checks.probe('tor01', never)).verdict, 'failed')
    }
  })

  it('does not take the failures of a dead worker for an excuse', async () => {
    const { checks, site, well } = setUp([A])
    site.a = 'no circuit'
    well.delete('tor02')
    await checks.probe('tor02', never)
    assert.equal((await checks.probe('tor01', never)).verdict, 'failed')
  })

  it('asks at most two witnesses, those that passed last, and is done in time when they hang', async () => {
    const { checks, clock, site, asked } = setUp([A])
    for (const worker of ['tor03', 'tor02', 'tor01', 'tor04']) {
      await checks.probe(worker, never)
      await clock.advance(1)
    }
    asked.length = 0
    site.a = 'hangs'
    site['tor04 a'] = 'no circuit'
    const probing = checks.probe('tor04', never)
    await clock.advance(1_600)
    assert.deepEqual(await probing, {
      verdict: 'unclear',
      reason: 'for other workers, too: a: no circuit',
      failsForOthers: true,
    })
    assert.deepEqual(asked, ['tor04 a', 'tor01 a', 'tor02 a'])
    assert.equal(clock.pending, 0)
  })

  it('gives a healthy worker six times what it usually takes, half a second at least, and one in trouble all the time', async () => {
    const { checks, clock, site, well, latency } = setUp([A])
    well.delete('tor02')
    const limits: string[] = []
    for (const [ms, passes] of [
      [50, 3],
      [200, 1],
      [9_000, 0],
    ] as const) {
      latency.ms = ms
      for (let i = 0; i < passes; i++) {
        const passing = checks.probe('tor01', never)
        await clock.advance(ms)
        assert.equal((await passing).verdict, 'passed')
      }
      site.a = 'hangs'
      const failing = checks.probe('tor01', never)
      await clock.advance(8_000)
      const result = await failing
      limits.push(result.verdict === 'failed' ? result.reason : result.verdict)
      delete site.a
    }
    assert.deepEqual(limits, ['a: no answer in 500 ms', 'a: no answer in 1200 ms', 'a: no answer in 1200 ms'])

    well.delete('tor01')
    site.a = 'hangs'
    const patient = checks.probe('tor01', never)
    await clock.advance(8_000)
    assert.deepEqual(await patient, { verdict: 'failed', reason: 'a: no answer in 8000 ms' })
  })

  it('has nothing to say without endpoints', async () => {
    const { checks } = setUp([])
    assert.equal((await checks.probe('tor01', never)).verdict, 'unclear')
  })

  it('checks onion services now and then through all workers, for longer, for the statistics', async () => {
    const { checks, site, clock, asked } = setUp([A, DUCK, PROPUBLICA])
    site.DuckDuckGo = 'hangs'
    const controller = new AbortController()
    const running = checks.checkOnions(() => ['tor01', 'tor02'], controller.signal)
    await clock.advance(200_000)
    assert.deepEqual(asked, ['tor01 DuckDuckGo', 'tor02 ProPublica', 'tor02 DuckDuckGo', 'tor01 ProPublica'])
    const [, duck, propublica] = checks.statistics()
    assert.equal(duck?.kind, 'onion')
    assert.match(duck?.lastError?.message ?? '', /no answer in 30000 ms/)
    assert.equal(duck?.failures, 2)
    assert.equal(propublica?.successes, 2)
    controller.abort()
    await running
    assert.equal(clock.pending, 0)
  })
})

/**
 * Endpoints that all answer, until `site[name]` or `site['<worker> <name>']` says why not, or that they hang. `asked` and
 * `signals` are filled by the checks; `well` are the workers that are thought to be well.
 */
function setUp(endpoints: readonly CheckEndpoint[]) {
  const clock = new FakeClock(1_000_000)
  const site: Record<string, string> = {}
  const asked: string[] = []
  const signals: AbortSignal[] = []
  const well = new Set(['tor01', 'tor02', 'tor03'])
  const latency = { ms: 0 }
  const checks = new CheckEndpoints({
    endpoints,
    clock,
    isWell: (id) => well.has(id),
    async check(workerId, { name }, signal) {
      signals.push(signal)
      asked.push(`${workerId} ${name}`)
      const fault = site[`${workerId} ${name}`] ?? site[name]
      if (fault === 'hangs') return await new Promise(() => {})
      if (fault !== undefined) throw new Error(fault)
      if (latency.ms > 0) await clock.sleep(latency.ms, signal)
      return { latencyMs: 40 }
    },
  })
  return { checks, clock, site, asked, signals, well, latency }
}
