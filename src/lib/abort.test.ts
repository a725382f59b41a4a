import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import v8 from 'node:v8'
import vm from 'node:vm'
import { abortable, deadline, either, onAbort } from './abort.ts'
import { FakeClock } from './fake-clock.ts'

v8.setFlagsFromString('--expose-gc')
const collectGarbage: () => void = vm.runInNewContext('gc')

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

  it('calls all who wait for one signal, once and in order, but nobody who is disposed meanwhile', () => {
    const controller = new AbortController()
    const told: string[] = []
    onAbort(controller.signal, () => {
      told.push('first')
      third[Symbol.dispose]()
      onAbort(controller.signal, () => told.push('late'))
    })
    onAbort(controller.signal, () => told.push('second'))
    const third = onAbort(controller.signal, () => told.push('third'))
    controller.abort()
    controller.abort()
    assert.deepEqual(told, ['first', 'late', 'second'])
  })

  it('calls who comes after all others have gone', () => {
    const controller = new AbortController()
    const reasons: unknown[] = []
    onAbort(controller.signal, () => reasons.push('too early'))[Symbol.dispose]()
    const first = onAbort(controller.signal, (reason) => reasons.push(`first: ${reason}`))
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    onAbort(controller.signal, (reason) => reasons.push(`second: ${reason}`))
    first[Symbol.dispose]()
    controller.abort('gone')
    assert.deepEqual(reasons, ['second: gone'])
  })

  it('keeps nothing of a signal that nobody waits for any more', async () => {
    const life = new AbortController()
    const kinds = {
      any: () => AbortSignal.any([life.signal, new AbortController().signal]),
      timeout: () => AbortSignal.timeout(1_000_000),
      plain: () => new AbortController().signal,
    }
    for (const [kind, create] of Object.entries(kinds)) {
      const signals = Array.from({ length: 20 }, () => {
        const signal = create()
        onAbort(signal, () => {})[Symbol.dispose]()
        return new WeakRef(signal)
      })
      await new Promise((resolve) => setImmediate(resolve)) // a WeakRef holds on to what was made in the same turn
      collectGarbage()
      // The last one may still be on the stack.
      assert.ok(signals.filter((signal) => signal.deref()).length <= 1, kind)
    }
  })

  it('takes the same listener twice', () => {
    const controller = new AbortController()
    const reasons: unknown[] = []
    const listener = (reason: unknown) => reasons.push(reason)
    onAbort(controller.signal, listener)[Symbol.dispose]()
    onAbort(controller.signal, listener)
    onAbort(controller.signal, listener)
    controller.abort('gone')
    assert.deepEqual(reasons, ['gone', 'gone'])
  })

  it('calls the others when a listener throws, whose error is nobody’s to catch', async () => {
    const controller = new AbortController()
    const reasons: unknown[] = []
    const failed = new Promise((resolve) => {
      process.setUncaughtExceptionCaptureCallback(resolve)
    })
    onAbort(controller.signal, () => {
      throw new Error('a bug')
    })
    onAbort(controller.signal, (reason) => reasons.push(reason))
    controller.abort('gone')
    assert.deepEqual(reasons, ['gone'])
    assert.match(String(await failed), /a bug/)
    process.setUncaughtExceptionCaptureCallback(null)
  })
})

describe('either()', () => {
  it('aborts with the reason of the first of the two', () => {
    for (const first of [0, 1] as const) {
      const both = [new AbortController(), new AbortController()] as const
      using linked = either(both[0].signal, both[1].signal)
      both[first].abort(`by ${first}`)
      both[1 - first]?.abort('too late')
      assert.equal(linked.signal.reason, `by ${first}`)
    }
  })

  it('is aborted from the beginning when one of them is', () => {
    using linked = either(new AbortController().signal, AbortSignal.abort('gone'))
    assert.equal(linked.signal.reason, 'gone')
  })

  it('does not abort after it was disposed', () => {
    const one = new AbortController()
    const linked = either(one.signal, new AbortController().signal)
    linked[Symbol.dispose]()
    one.abort()
    assert.equal(linked.signal.aborted, false)
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
