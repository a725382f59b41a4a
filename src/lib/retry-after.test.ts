import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseRetryAfter } from './retry-after.ts'

const NOW = Date.UTC(2026, 10, 26, 12)

it('reads seconds and dates, and nothing else', () => {
  const cases: Record<string, number | undefined> = {
    '0': 0,
    '120': 120_000,
    ' 5 ': 5_000,
    'Thu, 26 Nov 2026 12:00:30 GMT': 30_000,
    'Thu, 26 Nov 2026 11:00:00 GMT': 0,
    '': undefined,
    '-1': undefined,
    '1.5': undefined,
    '99999999999': undefined,
    soon: undefined,
    '2027': 2_027_000,
    'Thu, 99 Nov 2026 12:00:30 GMT': undefined,
    '2026-11-26T12:00:30Z': undefined,
  }
  for (const [text, expected] of Object.entries(cases)) assert.equal(parseRetryAfter(text, NOW), expected, text)
})
