import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Latencies } from './latencies.ts'

it('tells what 95 of 100 do not exceed, of the newest, once there are enough', () => {
  const latencies = new Latencies()
  for (let ms = 1; ms < 20; ms++) latencies.add(ms)
  assert.equal(latencies.p95(), undefined)
  latencies.add(20)
  assert.equal(latencies.p95(), 19)
  for (let ms = 21; ms <= 100; ms++) latencies.add(ms)
  assert.equal(latencies.p95(), 95)
  for (let n = 0; n < 256; n++) latencies.add(7)
  assert.equal(latencies.p95(), 7)
})
