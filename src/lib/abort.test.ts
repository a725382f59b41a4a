import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { abortable, deadline, onAbort } from './abort.ts'
import { FakeClock } from './fake-clock.ts'

describe('deadline()', () => {
  it('aborts with its own reason when the time is up', async () => {
    const clock = new FakeClock()
    using limit = deadline(clock, 100, undefined, () => new Error('too late'))
    await clock.advance(99)
    assert.equal(limit.signal.aborted, false)
    await clock.advance(1)
    assert.throws(() => limit.signal.throwIfAborted(), /too late/)
  })

  it("aborts with the parent's reason when that comes first", () => {
    const parent = new AbortController()
    using limit = deadline(new FakeClock(), 100, parent.signal, () => new Error('too late'))
    parent.abort(new Error('the client left'))
    assert.throws(() => limit.signal.throwIfAborted(), /the client left/)
  })

  it('forgets its timer when disposed', () => {
    const clock = new FakeClock()
    deadline(clock, 100, undefined, () => new Error())[Symbol.dispose]()
    assert.equal(clock.pending, 0)
  })
})

describe('onAbort()', () => {
  it('calls at once when the signal is aborted already', () => {
    const reasons: unknown[] = []
    onAbort(AbortSignal.abort('gone'), (reason) => reasons.push(reason))
    assert.deepEqual(reasons, ['gone'])
  })

  it('does not call after it was disposed', () => {
    const controller = new AbortController()
    const reasons: unknown[] = []
    onAbort(controller.signal, (reason) => reasons.push(reason))[Symbol.dispose]()
    controller.abort('gone')
    assert.deepEqual(reasons, [])
  })
})

describe('abortable()', () => {
  it('settles as the promise does', async () => {
    assert.equal(await abortable(Promise.resolve(1), new AbortController().signal), 1)
  })

  it('rejects with the reason of the signal while the promise is pending', async () => {
    const controller = new AbortController()
    const waiting = abortable(new Promise<never>(() => {}), controller.signal)
    controller.abort(new Error('gone'))
    await assert.rejects(waiting, /gone/)
  })
})
