import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CheckSeries } from './check-series.ts'

const passed = (latencyMs: number) => ({ ok: true, latencyMs }) as const
const FAILED = { ok: false, message: 'no answer' } as const

describe('CheckSeries', () => {
  it('sums the checks up, each half minute', () => {
    const series = new CheckSeries()
    series.add(passed(100), 1_000)
    series.add(passed(300), 29_999)
    series.add(FAILED, 30_000)
    series.add(passed(50), 90_000)
    assert.deepEqual(series.points(91_000), [
      { at: 0, checks: 2, failures: 0, meanMs: 200 },
      { at: 30_000, checks: 1, failures: 1, meanMs: undefined },
      { at: 90_000, checks: 1, failures: 0, meanMs: 50 },
    ])
  })

  it('knows of the last half hour, however much is checked', () => {
    const series = new CheckSeries()
    for (let at = 0; at < 7_200_000; at += 7_000) series.add(passed(1), at)
    const points = series.points(7_200_000)
    assert.deepEqual([points.length, points[0]?.at], [59, 5_430_000])
    assert.deepEqual(series.points(10_000_000), [])
  })
})
