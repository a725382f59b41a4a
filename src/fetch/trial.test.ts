import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { Trial } from './trial.ts'
import { Trials } from './trials.ts'
import type { StallPhase } from './worker-source.ts'

describe('Trial', () => {
  it('ends with its fetch or when its worker is given up', () => {
    const { trials, parent, trial } = lab()
    using first = trial('w1')
    using second = trial('w2')
    trials.abandonWorker('w1', 'Tor has exited')
    assert.equal(first.signal.reason.code, 'worker_unreachable')
    assert.match(first.signal.reason.message, /"w1": Tor has exited/)
    assert.equal(second.signal.aborted, false)
    parent.abort(new Error('enough'))
    assert.equal(second.signal.reason, parent.signal.reason)
  })

  it('is forgotten when it is over', () => {
    const { clock, trials, trial } = lab()
    const over = trial('w1')
    over[Symbol.dispose]()
    trials.abandonWorker('w1', 'Tor has exited')
    assert.equal(over.signal.aborted, false)
    assert.equal(clock.pending, 0)
  })

  it('blames Tor for a slow stream and the target for what comes after', () => {
    const codeWhen = (hasStream: boolean) => {
      using trial = lab().trial('w1')
      if (hasStream) trial.streamMade()
      trial.giveUpConnecting(20_000)
      return trial.signal.reason.code
    }
    assert.equal(codeWhen(false), 'tor_timeout')
    assert.equal(codeWhen(true), 'tls_failure')
  })

  it('calls it late for Tor before there is a stream, for its worker while that is not trusted, else for the target', () => {
    const reason = new CbtorError('timeout', 'time is up')
    const { trials, trial } = lab()
    using slow = trial('w1')
    assert.equal(slow.lateness(reason).code, 'tor_timeout')
    trials.abandonStalled('w1', 'it does not answer')
    assert.equal(slow.lateness(reason).code, 'worker_unreachable')
    assert.equal(slow.lateness(reason).cause, reason)
    trials.trustAgain('w1')
    assert.equal(slow.lateness(reason).code, 'tor_timeout')
    slow.streamMade()
    assert.equal(slow.lateness(reason), reason)
    slow.connecting()
    assert.equal(slow.lateness(reason).code, 'tor_timeout')
  })

  it('tells once for each stall what it waits for', async () => {
    const { clock, stalls, trial } = lab()
    using slow = trial('w1')
    await clock.advance(1_999)
    assert.deepEqual(stalls, [])
    await clock.advance(60_000)
    assert.deepEqual(stalls, ['connect'])
    assert.equal(slow.isStalled, true)
    slow.streamMade()
    assert.equal(slow.isStalled, false)
    await clock.advance(1_999)
    slow.sending()
    await clock.advance(1_999)
    slow.received()
    for (let i = 0; i < 10; i++) {
      await clock.advance(1_000)
      slow.received()
    }
    assert.deepEqual(stalls, ['connect'])
    await clock.advance(2_000)
    assert.deepEqual(stalls, ['connect', 'body'])
    slow.received()
    slow.over()
    await clock.advance(60_000)
    assert.deepEqual(stalls, ['connect', 'body'])
    assert.equal(clock.pending, 0)
  })

  it('leaves a worker that is not trusted while it is stalled, and when it stalls before anything moves there', async () => {
    const { clock, trials, trial } = lab()
    using first = trial('w1')
    using other = trial('w2')
    await clock.advance(1_500)
    using second = trial('w1')
    await clock.advance(500)
    trials.abandonStalled('w1', 'it does not answer')
    assert.equal(first.signal.reason.code, 'worker_unreachable')
    assert.equal(second.signal.aborted, false)
    assert.equal(other.signal.aborted, false)
    await clock.advance(1_500)
    assert.equal(second.signal.reason.code, 'worker_unreachable')

    using third = trial('w1')
    using moving = trial('w1')
    moving.streamMade()
    await clock.advance(5_000)
    assert.equal(third.signal.aborted, false)
  })

  it('stays where it is when it may have been sent and must not be twice, or when nobody could take over', async () => {
    const { clock, trials, trial } = lab()
    using unsent = trial('w1', { isIdempotent: false })
    using sent = trial('w1', { isIdempotent: false })
    sent.sending()
    using sentTwice = trial('w1')
    sentTwice.sending()
    using alone = trial('w1', { mayLeave: () => false })
    await clock.advance(2_000)
    trials.abandonStalled('w1', 'it does not answer')
    const gone = [unsent, sent, sentTwice, alone].map(({ signal }) => signal.aborted)
    assert.deepEqual(gone, [true, false, true, false])
    trials.abandonWorker('w1', 'it is dead')
    assert.equal(sent.signal.aborted, true)
    assert.equal(alone.signal.aborted, true)
  })
})

function lab() {
  const clock = new FakeClock()
  const trials = new Trials()
  const parent = new AbortController()
  const stalls: StallPhase[] = []
  const trial = (workerId: string, { isIdempotent = true, mayLeave = (): boolean => true } = {}) =>
    new Trial({
      ...{ clock, trials, workerId, isIdempotent, mayLeave },
      parent: parent.signal,
      stallMs: 2_000,
      onStall: (phase) => stalls.push(phase),
    })
  return { clock, trials, parent, stalls, trial }
}
