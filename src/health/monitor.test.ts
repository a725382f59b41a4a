import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DesiredState } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { type Random, seededRandom } from '../lib/random.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { climb } from './recovery.ts'
import { FAILED, hang, PASSED, RECOVERED, watch } from './test-watch.ts'

describe('Monitor', { timeout: 30_000 }, () => {
  it('lives through the combined recovery timeline of the original', async () => {
    await using world = watch({}, { reboot: async () => {} })
    const { worker, clock } = world
    await clock.advance(9_999)
    // From its second probe on the worker hangs, and recovery takes the times that the original gives.
    worker.probe = hang
    worker.recover = (_, signal) =>
      climb(
        [
          { name: 'SSH and SOCKS check', timeLimitMs: 5_000, run: (s) => clock.sleep(2_000, s) },
          { name: 'restart Tor', timeLimitMs: 60_000, run: (s) => clock.sleep(30_000, s) },
          { name: 'verify circuit', timeLimitMs: 5_000, run: () => Promise.reject(new Error('no circuit')) },
        ],
        clock,
        signal,
      )
    world.startStory(10_000)
    await clock.advance(416_000)
    assert.deepEqual(world.story, [
      '10s probe failed',
      '20s probe failed',
      '30s probe failed',
      '30s healthy > suspect',
      '40s probe failed',
      '50s probe failed',
      '60s probe failed',
      '60s suspect > dead',
      '60s dead > recovery',
      '60s recovery 1 started',
      '92s recovery 1 failed at verify circuit',
      // In each wait the worker is probed too, in case that it comes back by itself.
      '93s probe failed',
      '93s recovery 2 started',
      '125s recovery 2 failed at verify circuit',
      '127s probe failed',
      '127s recovery 3 started',
      '159s recovery 3 failed at verify circuit',
      '163s probe failed',
      '163s recovery 4 started',
      '195s recovery 4 failed at verify circuit',
      '203s probe failed',
      '203s recovery 5 started',
      '235s recovery 5 failed at verify circuit',
      '245s probe failed',
      '251s probe failed',
      '251s recovery 6 started',
      '283s recovery 6 failed at verify circuit',
      '293s probe failed',
      '303s probe failed',
      '313s probe failed',
      '315s probe failed',
      '315s reboot ordered',
      '405s recovery 1 started',
    ])
  })

  it('probes at once, and then at the interval from start to start', async () => {
    const starts: number[] = []
    const probe = async (signal: AbortSignal) => {
      starts.push(clock.now())
      await clock.sleep(3_000, signal)
      return PASSED
    }
    const clock = new FakeClock(0)
    await using world = watch({ clock }, { probe })
    await clock.advance(35_000)
    assert.deepEqual(starts, [0, 10_000, 20_000, 30_000])
    assert.deepEqual(world.monitor.health, { status: 'healthy', fails: 0 })
  })

  it('shortens the interval by the jitter, and never makes it longer', async () => {
    await using world = watch({ policy: DEFAULT_POLICY })
    const starts: number[] = []
    world.worker.probe = async () => {
      starts.push(world.clock.now())
      return PASSED
    }
    await world.clock.advance(1_000_000)
    const gaps = starts.slice(1).map((at, i) => at - (starts[i] ?? 0))
    assert.ok(
      gaps.every((gap) => gap >= 9_000 && gap <= 10_000),
      `${gaps}`,
    )
    assert.ok(Math.min(...gaps) < 9_300 && Math.max(...gaps) > 9_700, `${gaps}`)
  })

  it('takes a probe that throws for a failed one and keeps its reason', async () => {
    await using world = watch()
    await world.clock.advance(1)
    world.worker.probe = () => Promise.reject(new Error('control port refused'))
    await world.clock.advance(30_000)
    assert.equal(world.monitor.health.status, 'suspect')
    assert.deepEqual(world.events.at(-1), {
      type: 'health-changed',
      from: 'healthy',
      to: 'suspect',
      reason: 'control port refused',
    })
  })

  it('counts an unclear probe neither way', async () => {
    await using world = watch()
    await world.clock.advance(1)
    world.worker.probe = async () => ({ verdict: 'unclear', reason: 'the site fails for all' })
    await world.clock.advance(200_000)
    assert.deepEqual(world.monitor.health, { status: 'healthy', fails: 0 })
  })

  it('probes at once when live requests make the worker suspect', async () => {
    await using world = watch()
    await world.clock.advance(3_000)
    let probes = 0
    world.worker.probe = async () => {
      probes += 1
      return PASSED
    }
    for (let i = 0; i < 3; i++) world.monitor.outcomeFailed('SOCKS greeting timed out')
    assert.equal(world.monitor.health.status, 'suspect')
    await world.clock.advance(0)
    assert.equal(probes, 1)
    assert.equal(world.monitor.health.status, 'healthy')
  })

  it('leaves out probes while live traffic shows that the worker works, but not for ever', async () => {
    await using world = watch()
    const { clock, worker, monitor } = world
    await clock.advance(1)
    const probedAt: number[] = []
    worker.probe = async () => {
      probedAt.push(clock.now())
      return PASSED
    }
    for (let i = 0; i < 130; i++) {
      monitor.outcomePassed()
      await clock.advance(1_000)
    }
    assert.deepEqual(probedAt, [60_000, 120_000])
    await clock.advance(20_000)
    // An interval after the last success, which came at 129 001.
    assert.deepEqual(probedAt, [60_000, 120_000, 139_001, 149_001])
  })

  it('probes in spite of traffic once a request has failed after the last success', async () => {
    await using world = watch()
    await world.clock.advance(8_000)
    world.monitor.outcomePassed()
    world.monitor.outcomeFailed('no reply')
    let probes = 0
    world.worker.probe = async () => {
      probes += 1
      return FAILED
    }
    await world.clock.advance(2_000)
    assert.equal(probes, 1)
  })

  it('does one thing at a time, none to a stopped worker, and leaves no timer, in 300 random histories', async () => {
    for (let seed = 0; seed < 300; seed++) await liveThrough(seededRandom(seed), `seed ${seed}`)
  })
})

/** One history of a worker that fails, hangs and works as it likes, under an operator who changes his mind. */
async function liveThrough(random: Random, where: string): Promise<void> {
  const clock = new FakeClock(0)
  let desired: DesiredState = 'enabled'
  let running = 0
  /** Kept here, for the monitor would take a thrown assertion for a failed probe. */
  const broken: string[] = []
  const act = async <T>(signal: AbortSignal, passed: T, failed: T): Promise<T> => {
    if (desired === 'stopped') broken.push('acts on a stopped worker')
    if (running > 0) broken.push('does two things at once')
    running += 1
    try {
      await clock.sleep(random.int(15_000), signal)
      if (random.float() < 0.1) throw new Error('thrown')
      return random.float() < 0.4 ? passed : failed
    } finally {
      running -= 1
    }
  }
  await using world = watch(
    { policy: DEFAULT_POLICY, random, clock },
    {
      probe: (signal) => act(signal, PASSED, FAILED),
      recover: (_, signal) => act(signal, RECOVERED, { ok: false, steps: [] }),
      reboot: (signal) => act(signal, undefined, undefined),
    },
  )
  const { monitor } = world
  const deeds = [
    () => monitor.lost('lost'),
    () => monitor.outcomeFailed('failed'),
    () => monitor.outcomePassed(),
    () => monitor.progressed(),
    () => monitor.reset('restart'),
    () => monitor.probeNow(),
    () => monitor.forceHealthy('enabled'),
    () => {
      desired = (['enabled', 'drained', 'stopped'] as const)[random.int(3)] ?? 'enabled'
      monitor.setDesired(desired)
    },
  ]
  for (let i = 0; i < 12; i++) {
    deeds[random.int(deeds.length)]?.()
    await clock.advance(random.int(40_000))
  }
  assert.deepEqual(broken, [], where)
}
