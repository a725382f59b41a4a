import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { climb, type RecoveryStep } from './recovery.ts'

const never = new AbortController().signal

describe('climb()', { timeout: 10_000 }, () => {
  it('runs the steps in order and says how long each took', async () => {
    const clock = new FakeClock()
    const climbing = climb([takes(clock, 'process', 5), takes(clock, 'restart', 300)], clock, never)
    await clock.advance(305)
    assert.deepEqual(await climbing, {
      ok: true,
      steps: [
        { name: 'process', ok: true, ms: 5 },
        { name: 'restart', ok: true, ms: 300 },
      ],
    })
    assert.equal(clock.pending, 0)
  })

  it('stops at the first step that fails and keeps its reason', async () => {
    const clock = new FakeClock()
    const refused: RecoveryStep = {
      name: 'socks',
      timeLimitMs: 1_000,
      run: () => Promise.reject(new Error('refused')),
    }
    assert.deepEqual(await climb([refused, takes(clock, 'verify', 5)], clock, never), {
      ok: false,
      steps: [{ name: 'socks', ok: false, ms: 0, error: 'refused' }],
    })
  })

  it('fails a step that takes too long, also one that ignores its signal', async () => {
    const clock = new FakeClock()
    let reason: unknown
    const deaf: RecoveryStep = {
      name: 'restart',
      timeLimitMs: 2_000,
      run: (signal) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason
        })
        return new Promise(() => {})
      },
    }
    const climbing = climb([deaf], clock, never)
    await clock.advance(2_000)
    const error = 'not done within 2000 ms'
    assert.deepEqual(await climbing, { ok: false, steps: [{ name: 'restart', ok: false, ms: 2_000, error }] })
    assert.match(String(reason), /not done within/)
  })

  it('rejects with the reason when aborted, and runs nothing more', async () => {
    const clock = new FakeClock()
    const controller = new AbortController()
    const climbing = assert.rejects(climb([takes(clock, 'restart', 100)], clock, controller.signal), /shutting down/)
    controller.abort(new Error('shutting down'))
    await climbing
    await assert.rejects(climb([takes(clock, 'restart', 100)], clock, controller.signal), /shutting down/)
    assert.equal(clock.pending, 0)
  })
})

function takes(clock: FakeClock, name: string, ms: number): RecoveryStep {
  return { name, timeLimitMs: 10_000, run: (signal) => clock.sleep(ms, signal) }
}
