import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { LatencyCounts } from './latency-counts.ts'
import { RecentRequests } from './recent-requests.ts'

const START = 1_000_000_000

describe('the figures of the last minute', () => {
  it('count a request until it is a minute old, to the second', async () => {
    const clock = new FakeClock(START)
    const recent = new RecentRequests(clock)
    recent.count('tor01', true, 100)
    recent.count('tor01', false, 100)
    assert.deepEqual([recent.lastMinute().requests, recent.lastMinute().failures], [2, 1])
    await clock.advance(59_999)
    assert.deepEqual([recent.lastMinute().requests, recent.lastMinute().failures], [2, 1])
    await clock.advance(1)
    const { requests, failures, perSecond, p50Ms } = recent.lastMinute()
    assert.deepEqual([requests, failures, perSecond, p50Ms], [0, 0, 0, undefined])
    assert.equal(recent.perSecondOf('tor01'), 0)
  })

  it('are of as many seconds as they count: a steady pace is told as it is at every moment', async () => {
    const clock = new FakeClock(START)
    const recent = new RecentRequests(clock)
    for (let step = 0; step < 700; step++) {
      recent.count(step % 4 === 0 ? 'tor02' : 'tor01', true, 10)
      await clock.advance(100)
    }
    for (let step = 0; step < 15; step++) {
      assert.ok(Math.abs(recent.lastMinute().perSecond - 10) < 0.2, String(recent.lastMinute().perSecond))
      assert.ok(Math.abs(recent.perSecondOf('tor01') - 7.5) < 0.2)
      assert.ok(Math.abs(recent.perSecondOf('tor02') - 2.5) < 0.2)
      recent.count(step % 4 === 0 ? 'tor02' : 'tor01', true, 10)
      await clock.advance(100)
    }
  })

  it('are of no more time than there has been, and of ten seconds at least', async () => {
    const clock = new FakeClock(START)
    const recent = new RecentRequests(clock)
    recent.count('tor01', true, 10)
    assert.deepEqual([recent.lastMinute().perSecond, recent.perSecondOf('tor01')], [0.1, 0.1])
    for (let step = 1; step < 200; step++) {
      await clock.advance(100)
      recent.count('tor01', true, 10)
    }
    assert.ok(Math.abs(recent.lastMinute().perSecond - 10) < 0.2, String(recent.lastMinute().perSecond))
    assert.ok(Math.abs(recent.perSecondOf('tor01') - 10) < 0.2)
  })

  it('begin anew after a long silence', async () => {
    const clock = new FakeClock(START)
    const recent = new RecentRequests(clock)
    recent.count('tor01', true, 10)
    await clock.advance(3_600_000 + 30_000)
    recent.count('tor01', true, 10)
    assert.equal(recent.lastMinute().requests, 1)
  })

  it('know nothing of a worker that is gone', () => {
    const recent = new RecentRequests(new FakeClock(START))
    recent.count('tor01', true, 10)
    recent.forget('tor01')
    assert.equal(recent.perSecondOf('tor01'), 0)
  })
})

describe('the points of the last 15 minutes', () => {
  it('are 90, each of 10 s by the wall clock, the newest growing', async () => {
    const clock = new FakeClock(START)
    const recent = new RecentRequests(clock)
    recent.count('tor01', true, 100)
    await clock.advance(9_999)
    recent.count('tor01', false, 100)
    const points = recent.points()
    assert.equal(points.length, 90)
    assert.deepEqual([points[0]?.at, points.at(-1)?.at], [START - 89 * 10_000, START])
    assert.deepEqual([points.at(-1)?.requests, points.at(-1)?.failures, points.at(-2)?.requests], [2, 1, 0])
    await clock.advance(1)
    assert.deepEqual(
      recent
        .points()
        .slice(-2)
        .map(({ at, requests }) => [at - START, requests]),
      [
        [0, 2],
        [10_000, 0],
      ],
    )
    await clock.advance(89 * 10_000 - 1)
    assert.equal(recent.points()[0]?.requests, 2)
    await clock.advance(1)
    assert.ok(recent.points().every(({ requests }) => requests === 0))
  })

  it('begin anew when the clock is set back', async () => {
    const clock = new FakeClock(START)
    const recent = new RecentRequests(clock)
    recent.count('tor01', true, 100)
    await clock.advance(-3_600_000)
    recent.count('tor01', true, 100)
    const points = recent.points()
    assert.deepEqual([points.at(-1)?.at, points.at(-1)?.requests], [START - 3_600_000, 1])
    assert.equal(
      points.reduce((sum, { requests }) => sum + requests, 0),
      1,
    )
  })
})

describe('LatencyCounts', () => {
  it('tells percentiles to a twentieth, from a millisecond to minutes', () => {
    for (const ms of [1, 3, 12.5, 100, 812, 5_000, 119_000, 300_000]) {
      const counts = new LatencyCounts()
      counts.add(ms)
      const told = counts.percentile(0.5) ?? 0
      assert.ok(Math.abs(told / ms - 1) < 0.051, `${ms}: ${told}`)
    }
  })

  it('tells the one that the share of all is not above', () => {
    const counts = new LatencyCounts()
    for (let ms = 1; ms <= 100; ms++) counts.add(ms)
    for (const [share, ms] of [
      [0.5, 50],
      [0.95, 95],
      [1, 100],
    ] as const) {
      assert.ok(Math.abs((counts.percentile(share) ?? 0) / ms - 1) < 0.08, `${share}`)
    }
    counts.clear()
    assert.equal(counts.percentile(0.5), undefined)
    counts.add(10_000_000)
    assert.ok((counts.percentile(0.5) ?? 0) > 500_000)
  })
})
