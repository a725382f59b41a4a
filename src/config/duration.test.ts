import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { formatDuration, parseDuration } from './duration.ts'

describe('durations', () => {
  it('need a unit that we know', () => {
    for (const text of ['', '10', 's', '10 s', '10S', '-1s', '1e3s', '10sec'])
      assert.equal(parseDuration(text), undefined, text)
  })

  it('may have a fraction', () => {
    assert.equal(parseDuration('1.5m'), 90_000)
  })

  it('are written as they are read', () => {
    fc.assert(fc.property(fc.nat(10 ** 9), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)))
  })
})
