import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError, parseConfig } from './read-config.ts'

describe('limits and politeness', () => {
  it('are generous when left out', () => {
    const { limits, politeness } = parse({})
    assert.deepEqual(limits, {
      rate: 100,
      bytes_per_day: Number.POSITIVE_INFINITY,
      queue: { wait: 5_000, per_key: 128, total: 1_024 },
    })
    assert.deepEqual(politeness, { concurrent: 4, rate: 2, burst: 4, honour_retry_after: true })
  })

  it('can each be off', () => {
    const off = { rate: 'off', burst: 'off', concurrent: 'off', bytes_per_day: 'off', queue: { wait: '0s' } }
    const { limits, politeness } = parse({ limits: off, politeness: 'off' })
    const { rate, burst, concurrent, bytes_per_day, queue } = limits
    assert.deepEqual([rate, burst, concurrent, bytes_per_day], new Array(4).fill(Number.POSITIVE_INFINITY))
    assert.equal(queue.wait, 0)
    assert.equal(politeness, 'off')
  })

  it('have sizes with a unit', () => {
    const sizes = ['1B', '2kB', '1.5MB', '3GB', '1TB', '1KiB', '20GiB', '1TiB']
    assert.deepEqual(
      sizes.map((size) => parse({ limits: { bytes_per_day: size } }).limits.bytes_per_day),
      [1, 2_000, 1_500_000, 3e9, 1e12, 1_024, 20 * 2 ** 30, 2 ** 40],
    )
  })

  it('are refused when they make no sense, with what would be right', () => {
    const faults: [field: Record<string, unknown>, message: RegExp][] = [
      [{ limits: { rate: 0 } }, /limits\.rate: expected a number above 0, or off/],
      [{ limits: { concurrent: -1 } }, /limits\.concurrent: expected a number above 0, or off/],
      [{ limits: { bytes_per_day: '5 GB' } }, /limits\.bytes_per_day: expected a size with its unit/],
      [{ limits: { bytes_per_day: '1iB' } }, /limits\.bytes_per_day: expected a size with its unit/],
      [{ limits: { bytes_per_day: 5 } }, /limits\.bytes_per_day: expected a size with its unit/],
      [{ limits: { queue: { wait: '2m' } } }, /limits\.queue\.wait: expected a duration from 0s to 60s/],
      [{ politeness: 'none' }, /politeness: expected off, or concurrent/],
      [{ politeness: { speed: 1 } }, /politeness/],
    ]
    for (const [field, message] of faults) {
      assert.throws(
        () => parse(field),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError)
          assert.match(error.message, message)
          return true
        },
      )
    }
  })
})

function parse(fields: Record<string, unknown>) {
  return parseConfig({ state: '/nowhere', ...fields }, {})
}
