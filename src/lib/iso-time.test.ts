import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isoTime } from './iso-time.ts'

it('writes an instant as UTC in ISO 8601', () => {
  assert.equal(isoTime(0), '1970-01-01T00:00:00.000Z')
  assert.equal(isoTime(1_700_000_000_123), '2023-11-14T22:13:20.123Z')
})
