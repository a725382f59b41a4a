import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from './fake-clock.ts'
import { PaceWatch } from './pace-watch.ts'

const PACE = { bytes: 5_000, withinMs: 10_000 }

describe('PaceWatch', () => {
  function watch() {
    const clock = new FakeClock()
    const mover = { bytes: 0, waiting: true, slow: 0 }
    const paced = new PaceWatch(clock, PACE, {
      moved: () => mover.bytes,
      isWaiting: () => mover.waiting,
      onSlow: () => mover.slow++,
    })
    return { clock, mover, paced }
  }

  it('tells once of who moves nothing', async () => {
    const { clock, mover } = watch()
    await clock.advance(9_999)
    assert.equal(mover.slow, 0)
    await clock.advance(1)
    assert.equal(mover.slow, 1)
    await clock.advance(100_000)
    assert.equal(mover.slow, 1)
    assert.equal(clock.pending, 0)
  })

  it('tells of who moves a little, and not of who keeps the pace', async () => {
    for (const [bytesPerSecond, slow] of [
      [499, 1],
      [500, 0],
      [1_000_000, 0],
    ] as const) {
      const { clock, mover, paced } = watch()
      for (let second = 0; second < 60; second++) {
        mover.bytes += bytesPerSecond
        await clock.advance(1_000)
      }
      assert.equal(mover.slow, slow, `${bytesPerSecond} B/s`)
      paced[Symbol.dispose]()
      assert.equal(clock.pending, 0)
    }
  })

  it('does not count the time in which it is not up to them', async () => {
    const { clock, mover, paced } = watch()
    mover.waiting = false
    await clock.advance(100_000)
    mover.waiting = true
    await clock.advance(9_000)
    assert.equal(mover.slow, 0)
    await clock.advance(1_000)
    assert.equal(mover.slow, 1)
    paced[Symbol.dispose]()
  })
})
