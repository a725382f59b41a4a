import assert from 'node:assert/strict'
import { it } from 'node:test'
import { showAge, showBytes, showCountdown, showMs, showSpan } from './spans.ts'

it('shows spans in their largest whole unit', () => {
  const spans = { 0: '0 s', 999: '1 s', 59400: '59 s', 60000: '1 min', 7199999: '1 h', 172800000: '2 d' }
  for (const [ms, text] of Object.entries(spans)) assert.equal(showSpan(Number(ms)), text)
  assert.equal(showSpan(-5), '0 s')
})

it('shows how long ago an instant was, or is to come', () => {
  assert.equal(showAge('1970-01-01T00:00:00.000Z', 300_000), '5 min')
  assert.equal(showCountdown('1970-01-01T00:00:10.000Z', 2_000), 'in 8 s')
  for (const now of [9_700, 10_000, 20_000]) assert.equal(showCountdown('1970-01-01T00:00:10.000Z', now), 'now')
})

it('shows times and sizes no more exactly than anybody wants to know', () => {
  const times = { 0.26: '0.3 ms', 12.3: '12 ms', 9999: '9999 ms', 12000: '12 s' }
  for (const [ms, text] of Object.entries(times)) assert.equal(showMs(Number(ms)), text)
  const sizes = { 0: '0 B', 1023: '1023 B', 1536: '1.5 KiB', 204800: '200 KiB', 1073741824: '1.0 GiB' }
  for (const [bytes, text] of Object.entries(sizes)) assert.equal(showBytes(Number(bytes)), text)
})
