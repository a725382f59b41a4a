import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../lib/clock.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { watchPulse } from './pulse.ts'
import { hang, ORIGINAL_PACE, watch } from './test-watch.ts'

describe('watchPulse()', { timeout: 10_000 }, () => {
  it('asks every 2 s, and again as soon as the time of one that failed is up', async () => {
    await using feeling = feel(['ok', 'hangs', 'hangs', 'ok', 'refused', 'ok'])
    await feeling.clock.advance(9_000)
    assert.deepEqual(feeling.story, [
      '0 ok',
      '2000 hangs',
      '3000 failed 1: no answer within 1000 ms',
      '3000 hangs',
      '4000 failed 2: no answer within 1000 ms',
      '4000 ok',
      '6000 refused',
      '6000 failed 1: refused',
      '7000 ok',
      '9000 ok',
    ])
  })

  it('does not take the blame of our own standing still to the worker', async () => {
    await using feeling = feel(['hangs', 'ok'], 5_000)
    await feeling.clock.advance(7_000)
    assert.deepEqual(feeling.story, ['0 hangs', '6000 ok'])
  })

  it('asks nothing of a worker that need not answer', async () => {
    await using feeling = feel(['ok'])
    feeling.isExpected = false
    await feeling.clock.advance(99_000)
    feeling.isExpected = true
    await feeling.clock.advance(1_000)
    assert.deepEqual(feeling.story, ['0 ok', '100000 ok'])
  })
})

describe('Monitor, by the pulse', { timeout: 10_000 }, () => {
  it('gives a worker up that hangs, in the middle of a probe', async () => {
    const pulse = { hangs: false }
    await using world = watch({}, { pulse: async () => (pulse.hangs ? await hang() : undefined), reboot: hang })
    const { clock, worker, monitor } = world
    await clock.advance(9_000)
    worker.probe = hang
    const attempts: boolean[] = []
    worker.recover = async ({ isHung }) => {
      attempts.push(isHung)
      return { ok: attempts.length > 1, steps: [] }
    }
    await clock.advance(4_000)
    world.startStory()
    pulse.hangs = true
    await clock.advance(7_000)
    assert.deepEqual(world.story, [
      '2s pulse failed 1',
      '2s healthy > suspect',
      '3s pulse failed 2',
      '3s suspect > dead',
      '3s recover held: it hangs; others may hang too',
      '6s dead > recovery',
      '6s recovery 1 started',
      '6s recovery 1 failed at undefined',
      '7s recovery 2 started',
      '7s recovery 2 passed',
      '7s recovery > healthy',
    ])
    assert.deepEqual(attempts, [true, true])
    assert.equal(monitor.describe().lastFailure?.reason, 'it does not answer: no answer within 1000 ms')
  })

  it('looks closer after one pulse failed, and thinks no worse of a worker that works', async () => {
    let pulses = 0
    await using world = watch(
      {},
      {
        pulse: async () => {
          pulses += 1
          // The one at 8 s.
          if (pulses === 4) throw new Error('refused')
        },
      },
    )
    await world.clock.advance(20_000)
    assert.deepEqual(world.story.slice(2), [
      '8s pulse failed 1',
      '8s healthy > suspect',
      '8s probe passed',
      '8s suspect > healthy',
      '18s probe passed',
    ])
  })

  it('leaves a worker alone that starts, is being recovered, or is wished to be stopped', async () => {
    let pulses = 0
    await using world = watch(
      { policy: { ...ORIGINAL_PACE, startStallMs: 3_600_000 } },
      {
        pulse: async () => {
          pulses += 1
        },
        probe: () => Promise.reject(new Error('Tor is starting')),
        recover: hang,
      },
    )
    await world.clock.advance(30_000)
    world.monitor.lost('it exited')
    await world.clock.advance(30_000)
    world.monitor.setDesired('stopped')
    await world.clock.advance(30_000)
    assert.equal(pulses, 0)
  })
})

/**
 * A pulse that answers as `answers` says, one after the other, and the last for ever; timers ring `lateMs` late. Disposing
 * ends it.
 */
function feel(answers: readonly string[], lateMs = 0) {
  const fake = new FakeClock(0)
  const story: string[] = []
  let pulses = 0
  const controller = new AbortController()
  const feeling = {
    clock: fake,
    story,
    isExpected: true,
    async [Symbol.asyncDispose]() {
      controller.abort(new Error('the test is over'))
      await running
      assert.equal(fake.pending, 0, 'a timer is left')
    },
  }
  const clock: Clock = {
    now: () => fake.now(),
    monotonic: () => fake.monotonic(),
    sleep: (ms, signal) => fake.sleep(ms, signal),
    timer: (ms, callback) => fake.timer(ms + lateMs, callback),
  }
  const running = watchPulse(
    {
      clock,
      policy: DEFAULT_POLICY,
      isExpected: () => feeling.isExpected,
      async pulse() {
        const answer = answers[Math.min(pulses++, answers.length - 1)]
        story.push(`${fake.now()} ${answer}`)
        if (answer === 'hangs') await hang()
        if (answer === 'refused') throw new Error('refused')
      },
      onFailure: (reason, inARow) => story.push(`${fake.now()} failed ${inARow}: ${reason}`),
    },
    controller.signal,
  )
  return feeling
}
