import assert from 'node:assert/strict'
import { it } from 'node:test'
import { bytes, counted, inWords, latency, percent, rate, roughDuration } from './text.ts'

it('figures read as people write them', () => {
  const minute = 60_000
  assert.deepEqual([0, 40_400, 119_400, 2 * minute, 61 * minute, 125 * minute, 49 * 60 * minute].map(roughDuration), [
    ...['0 s', '40 s', '119 s', '2 min', '1 h 1 min', '2 h 5 min', '2 d'],
  ])
  assert.deepEqual([null, 0.4, 740, 1_240, 14_400].map(latency), ['–', '0 ms', '740 ms', '1.2 s', '14 s'])
  assert.deepEqual([0, 999, 1_400, 9_960, 23_456_789].map(bytes), ['0 B', '999 B', '1.4 kB', '10 kB', '23 MB'])
  assert.deepEqual([0, 0.26, 12.44, 210.4].map(rate), ['0.0', '0.3', '12.4', '210'])
  assert.deepEqual([null, 0, 1, 0.9999, 0.0001, 0.5].map(percent), ['–', '0 %', '100 %', '99.9 %', '0.1 %', '50.0 %'])
  assert.deepEqual([counted(1, 'worker'), counted(1_204, 'worker')], ['1 worker', '1,204 workers'])
  assert.equal(inWords('restart-tor_now'), 'restart tor now')
})
