import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseDuration } from './duration.ts'

describe('durations', () => {
  it('need a unit that we know', () => {
    for (const text of ['', '10', 's', '10 s', '10S', '-1s', '1e3s', '10sec'])
      assert.equal(parseDuration(text), undefined, text)
  })

  it('may have a fraction', () => {
    assert.equal(parseDuration('1.5m'), 90_000)
  })

  it('are whole milliseconds in every unit', () => {
    const factors = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
    fc.assert(
      fc.property(fc.nat(10 ** 6), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (amount, unit) => {
        assert.equal(parseDuration(`${amount}${unit}`), amount * factors[unit])
      }),
    )
  })
})
