import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import type { ProbeResult } from './monitored.ts'
import type { RecoveryResult } from './recovery.ts'
import { FAILED, hang, PASSED, RECOVERED, watch } from './test-watch.ts'

describe('Monitor in recovery and under orders', { timeout: 30_000 }, () => {
  it('starts the recovery of a lost worker at once, leaving its probe', async () => {
    await using world = watch()
    const { clock, worker, monitor } = world
    await clock.advance(10_000)
    worker.probe = hang
    await clock.advance(12_000)
    const recovering = Promise.withResolvers<RecoveryResult>()
    worker.recover = () => recovering.promise
    world.startStory()
    monitor.lost('process exited with code 1')
    await clock.advance(0)
    assert.deepEqual(world.story, ['0s healthy > dead', '0s dead > recovery', '0s recovery 1 started'])
    recovering.resolve(RECOVERED)
    await clock.advance(0)
    assert.deepEqual(monitor.health, { status: 'healthy', fails: 0 })
  })

  it('starts the recovery of a lost worker also when the clock moves on between two looks at it', async () => {
    class MovingClock extends FakeClock {
      #looks = 0
      override monotonic(): number {
        return super.monotonic() + this.#looks++ / 1_000
      }
    }
    await using world = watch({ clock: new MovingClock(0) })
    await world.clock.advance(10_000)
    world.monitor.lost('process exited with code 1')
    await world.clock.advance(100)
    assert.deepEqual(world.monitor.health, { status: 'healthy', fails: 0 })
  })

  it('neither probes nor heals a stopped worker, and starts anew afterwards', async () => {
    await using world = watch()
    const { clock, worker, monitor } = world
    await clock.advance(1)
    let isAborted = false
    worker.recover = (_, signal) => {
      signal.addEventListener('abort', () => {
        isAborted = true
      })
      return hang()
    }
    monitor.lost('process exited')
    await clock.advance(0)
    assert.equal(monitor.health.status, 'recovery')

    monitor.setDesired('stopped')
    assert.ok(isAborted, 'the attempt goes on')
    assert.equal(monitor.nextAction, undefined)
    let calls = 0
    worker.probe = async () => {
      calls += 1
      return FAILED
    }
    worker.recover = async () => {
      calls += 1
      return RECOVERED
    }
    monitor.lost('process exited')
    monitor.outcomeFailed('no reply')
    monitor.forceHealthy('enabled')
    await clock.advance(3_600_000)
    assert.equal(calls, 0)
    assert.deepEqual(monitor.health, { status: 'starting', progressedAt: 1 })

    worker.probe = async () => PASSED
    monitor.setDesired('enabled')
    await clock.advance(0)
    assert.equal(monitor.health.status, 'healthy')
  })

  it('watches over a drained worker like over any other', async () => {
    await using world = watch({ desired: 'drained' })
    await world.clock.advance(0)
    assert.equal(world.monitor.health.status, 'healthy')
  })

  it('ends a recovery attempt when the operator resets or enables the worker, and forgets its result', async () => {
    for (const act of ['reset', 'forceHealthy'] as const) {
      const results = [Promise.withResolvers<RecoveryResult>(), Promise.withResolvers<RecoveryResult>()]
      const signals: AbortSignal[] = []
      await using world = watch()
      await world.clock.advance(1)
      world.worker.probe = async () => FAILED
      world.worker.recover = async (_, signal) => {
        signals.push(signal)
        return (await results[signals.length - 1]?.promise) ?? RECOVERED
      }
      world.monitor.lost('gone')
      await world.clock.advance(0)
      world.monitor[act]('by the operator')
      assert.equal(world.monitor.health.status, act === 'reset' ? 'starting' : 'healthy')
      assert.ok(signals[0]?.aborted)

      world.monitor.lost('gone again')
      await world.clock.advance(0)
      results[0]?.resolve(RECOVERED)
      await world.clock.advance(0)
      assert.deepEqual(world.monitor.health, { status: 'recovery', phase: 'attempting', attempt: 1 })
      results[1]?.resolve(RECOVERED)
      await world.clock.advance(0)
      assert.equal(world.monitor.health.status, 'healthy')
    }
  })

  it('drops a probe that passed in the same moment in which the worker was lost', async () => {
    await using world = watch()
    await world.clock.advance(1)
    const probe = Promise.withResolvers<ProbeResult>()
    world.worker.probe = () => probe.promise
    world.worker.recover = hang
    await world.clock.advance(10_000)
    probe.resolve(PASSED)
    world.monitor.lost('process exited')
    await world.clock.advance(0)
    assert.equal(world.monitor.health.status, 'recovery')
  })

  it('heals without an attempt when the worker comes back in the wait', async () => {
    await using world = watch()
    const { clock, worker, monitor } = world
    await clock.advance(0)
    let attempts = 0
    worker.recover = async () => {
      attempts += 1
      return { ok: false, steps: [] }
    }
    worker.probe = async () => (clock.now() < 9_000 ? FAILED : PASSED)
    monitor.lost('gone')
    await clock.advance(30_000)
    assert.equal(attempts, 4)
    assert.equal(monitor.health.status, 'healthy')
  })

  it('gives up an attempt that hangs', async () => {
    await using world = watch()
    await world.clock.advance(0)
    world.worker.recover = hang
    world.worker.probe = async () => FAILED
    world.startStory()
    world.monitor.lost('gone')
    await world.clock.advance(120_000)
    assert.ok(world.story.includes('120s recovery 1 failed at recover'), world.story.join('\n'))
  })

  it('tells of a reboot that cannot be ordered and goes on after the wait', async () => {
    const reboot = () => Promise.reject(new Error('SSH refused'))
    await using world = watch({}, { probe: async () => FAILED, recover: reboot, reboot })
    world.monitor.lost('gone')
    await world.clock.advance(154_000)
    const deeds = world.story.filter((line) => /reboot|started/.test(line))
    assert.deepEqual(deeds.slice(6), ['63s reboot failed', '153s recovery 1 started', '154s recovery 2 started'])
  })

  it('does not count a reboot that cannot be ordered at all, and goes on probing', async () => {
    const out = () => Promise.reject(new Error('SSH is out of reach'))
    let isBack = false
    const probe = async () => (isBack ? ({ verdict: 'passed' } as const) : FAILED)
    await using world = watch({}, { probe, recover: out, canReboot: out, reboot: async () => assert.fail('rebooted') })
    world.monitor.lost('gone')
    await world.clock.advance(70_000)
    const deeds = world.story.filter((line) => /reboot/.test(line))
    assert.deepEqual(deeds, ['63s reboot failed'])
    assert.equal(world.monitor.nextAction?.reason, 'its host could not be told to reboot')
    isBack = true
    await world.clock.advance(10_000)
    assert.equal(world.monitor.health.status, 'healthy')
  })

  it('never reboots a worker that has no host', async () => {
    await using world = watch({}, { probe: async () => FAILED, recover: () => Promise.reject(new Error('no')) })
    world.monitor.lost('gone')
    await world.clock.advance(600_000)
    assert.ok(world.story.includes('95s recovery 8 started'), world.story.join('\n'))
    assert.ok(!world.story.some((line) => line.includes('reboot')))
  })

  it('says what it will do next, and when', async () => {
    await using world = watch({}, { reboot: async () => {} })
    const { clock, worker, monitor } = world
    await clock.advance(0)
    assert.deepEqual(monitor.nextAction, { type: 'probe', at: 10_000, reason: 'the regular check' })
    worker.probe = async () => FAILED
    worker.recover = async () => ({ ok: false, steps: [] })
    monitor.lost('gone')
    await clock.advance(0)
    assert.deepEqual(monitor.nextAction, { type: 'recover', at: 1_000, reason: 'recovery attempt 1 failed' })
    await clock.advance(31_000)
    assert.deepEqual(monitor.nextAction, { type: 'reboot', at: 63_000, reason: 'recovery attempt 6 failed' })
  })

  it('describes how the worker is and how it came to that', async () => {
    await using world = watch({}, { reboot: async () => {} })
    const { clock, worker, monitor } = world
    await clock.advance(5_000)
    assert.deepEqual(monitor.describe(), {
      health: 'healthy',
      since: 0,
      healthySince: undefined,
      failures: 0,
      lastFailure: undefined,
      lastRecovery: undefined,
      nextAction: { type: 'probe', at: 10_000, reason: 'the regular check' },
      quarantine: undefined,
      flapping: undefined,
    })
    const steps = [{ name: 'restart-tor', timeLimitMs: 5_000, run: (s: AbortSignal) => clock.sleep(2_000, s) }]
    worker.recover = (attempt, signal) => attempt.climb(steps, signal)
    monitor.lost('it exited with code 1')
    await clock.advance(1_000)
    assert.equal(monitor.describe().nextAction, undefined, 'an attempt is under way')
    await clock.advance(4_000)
    const { since, healthySince, lastFailure, lastRecovery } = monitor.describe()
    assert.deepEqual([since, healthySince], [7_000, 7_000])
    assert.deepEqual(lastFailure, { at: 5_000, reason: 'it exited with code 1' })
    assert.deepEqual(lastRecovery, {
      at: 7_000,
      attempt: 1,
      ok: true,
      ms: 2_000,
      steps: [{ name: 'restart-tor', ok: true, ms: 2_000 }],
    })
    assert.ok(world.story.includes('7s restart-tor passed'), 'each step is told of')
  })

  it('counts failures in a row as the original does', async () => {
    await using world = watch()
    await world.clock.advance(1)
    world.worker.probe = async () => FAILED
    world.worker.recover = hang
    const counts: number[] = []
    for (let i = 0; i < 7; i++) {
      await world.clock.advance(10_000)
      counts.push(world.monitor.describe().failures)
    }
    assert.deepEqual(counts, [1, 2, 3, 4, 5, 6, 6])
  })
})
