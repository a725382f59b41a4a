import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isoTime, parseInstant, parseIsoTime, parseUtcTime } from './iso-time.ts'

it('writes an instant as UTC in ISO 8601', () => {
  assert.equal(isoTime(0), '1970-01-01T00:00:00.000Z')
  assert.equal(isoTime(1_700_000_000_123), '2023-11-14T22:13:20.123Z')
})

it('reads an instant in UTC that does not say so', () => {
  assert.equal(parseUtcTime('2023-11-14 22:13:20'), 1_700_000_000_000)
  assert.equal(parseUtcTime('2023-11-14T22:13:20.123456'), 1_700_000_000_123)
  for (const text of ['', '2023-11-14', '2023-13-14 22:13:20', '14.11.2023 22:13:20'])
    assert.equal(parseUtcTime(text), undefined, text)
})

it('reads what it wrote, and nothing else', () => {
  assert.equal(parseIsoTime(isoTime(1_769_860_800_042)), 1_769_860_800_042)
  for (const text of ['', '2026-01-31', 'yesterday']) assert.throws(() => parseIsoTime(text), RangeError)
})

it('reads an instant, however exact it is', () => {
  for (const text of ['2023-11-14T22:13:20Z', '2023-11-14T22:13:20.000Z', '2023-11-14T23:13:20+01:00'])
    assert.equal(parseInstant(text), 1_700_000_000_000, text)
  for (const text of ['', 'tomorrow', '2023-13-14T00:00:00Z']) assert.throws(() => parseInstant(text), RangeError)
})
