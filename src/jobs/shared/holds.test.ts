import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../lib/fake-clock.ts'
import { Holds } from './holds.ts'

describe('Holds', () => {
  it('lets each come back a little later than the one before, and all once it is over', async () => {
    const clock = new FakeClock()
    const holds = new Holds(clock)
    const now = clock.now()
    holds.hold('alice', now + 1_000)
    holds.hold('alice', now + 500)
    assert.deepEqual([holds.until('alice'), holds.until('alice')], [now + 1_000, now + 1_025])
    assert.equal(holds.until('bob'), undefined)
    await clock.advance(1_000)
    assert.equal(holds.until('alice'), undefined)
  })
})
