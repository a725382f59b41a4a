import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from './fake-clock.ts'
import { within } from './within.ts'

describe('within()', () => {
  it('settles as the promise does when that is in time', async () => {
    const clock = new FakeClock()
    assert.equal(await within(clock, 100, Promise.resolve(1)), 1)
    await assert.rejects(within(clock, 100, Promise.reject(new Error('no'))), /no/)
    assert.equal(clock.pending, 0)
  })

  it('gives undefined when the time is up', async () => {
    const clock = new FakeClock()
    const waiting = within(clock, 100, new Promise<never>(() => {}))
    await clock.advance(100)
    assert.equal(await waiting, undefined)
  })
})
