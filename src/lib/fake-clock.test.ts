import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from './fake-clock.ts'

describe('FakeClock', () => {
  it('rings alarms in the order of their time, and those of one time in the order they were set', async () => {
    const clock = new FakeClock(0)
    const rung: string[] = []
    clock.timer(20, () => rung.push(`b@${clock.now()}`))
    clock.timer(10, () => rung.push(`a@${clock.now()}`))
    clock.timer(20, () => rung.push(`c@${clock.now()}`))
    await clock.advance(30)
    assert.deepEqual(rung, ['a@10', 'b@20', 'c@20'])
    assert.equal(clock.now(), 30)
  })

  it('rings an alarm that another alarm sets', async () => {
    const clock = new FakeClock(0)
    const rung: number[] = []
    const loop = async () => {
      for (;;) {
        await clock.sleep(10)
        rung.push(clock.now())
      }
    }
    void loop()
    await clock.advance(35)
    assert.deepEqual(rung, [10, 20, 30])
  })

  it('rejects a sleep with the reason of its signal and forgets the alarm', async () => {
    const clock = new FakeClock(0)
    const controller = new AbortController()
    const sleeping = clock.sleep(10, controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(sleeping, /enough/)
    assert.equal(clock.pending, 0)
  })

  it('does not ring a disposed timer', async () => {
    const clock = new FakeClock(0)
    let rung = false
    clock
      .timer(10, () => {
        rung = true
      })
      [Symbol.dispose]()
    await clock.advance(20)
    assert.equal(rung, false)
  })
})
