import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { Trial } from './trial.ts'

describe('Trial', () => {
  it('ends with its fetch or when its worker is given up, and is forgotten when it is over', () => {
    const trials = new Set<Trial>()
    const parent = new AbortController()
    {
      using first = new Trial('w1', trials, parent.signal)
      using second = new Trial('w2', trials, parent.signal)
      assert.deepEqual([...trials], [first, second])
      first.abandon(new CbtorError('worker_unreachable', 'gone'))
      assert.equal(first.signal.reason.code, 'worker_unreachable')
      assert.equal(second.signal.aborted, false)
      parent.abort(new Error('enough'))
      assert.equal(second.signal.reason, parent.signal.reason)
    }
    assert.equal(trials.size, 0)
  })

  it('blames Tor for a slow stream and the target for what comes after', () => {
    const codeWhen = (hasStream: boolean) => {
      using trial = new Trial('w1', new Set(), new AbortController().signal)
      trial.hasStream = hasStream
      trial.giveUpConnecting(20_000)
      return trial.signal.reason.code
    }
    assert.equal(codeWhen(false), 'tor_timeout')
    assert.equal(codeWhen(true), 'tls_failure')
  })
})
