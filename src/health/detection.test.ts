import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { poolOf } from './test-pool.ts'

/** So many moments of a probe's interval at which something breaks. */
const PHASES = 20

describe('A pool that watches over itself', { timeout: 60_000 }, () => {
  it('suspects a worker whose relays are unreachable within 12 s, whenever that happens, and no other', async () => {
    const tookMs: number[] = []
    for (let phase = 0; phase < PHASES; phase++) {
      await using pool = poolOf({ size: 4 })
      await pool.clock.advance(60_000 + phase * 500)
      pool.startStory()
      const brokenAt = pool.clock.now()
      pool.worker(2).reachesRelays = false
      while (pool.monitor(2).health.status === 'healthy' && pool.clock.now() - brokenAt < 20_000) {
        await pool.clock.advance(50)
      }
      tookMs.push(pool.clock.now() - brokenAt)
      assert.deepEqual(pool.statuses(), ['healthy', 'suspect', 'healthy', 'healthy'])
      assert.equal(pool.governor.uplinkSuspectSince, undefined)
    }
    assert.ok(Math.max(...tookMs) <= 12_000, `${tookMs}`)
    assert.ok(Math.max(...tookMs) > 9_000, `the worst moment was not tried: ${tookMs}`)
  })

  it('suspects it sooner when live requests hang', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(60_000)
    pool.startStory()
    pool.worker(2).reachesRelays = false
    await pool.clock.advance(3_000)
    pool.monitor(2).suspectedByStall('no answer for 3 s')
    pool.monitor(2).suspectedByStall('no answer for 3 s')
    await pool.clock.advance(2_000)
    assert.deepEqual(pool.story, ['4.65s tor2 healthy > suspect'])
  })

  it('leaves alone a worker whose requests hang because of their targets', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(60_000)
    pool.startStory()
    for (let i = 0; i < 100; i++) {
      pool.monitor(2).suspectedByStall('no answer for 3 s')
      await pool.clock.advance(1_000)
    }
    assert.deepEqual(pool.story, [])
  })

  it('restarts a worker whose relays are unreachable only when nothing else helps, and sees soon that they are back', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    pool.startStory()
    pool.worker(2).reachesRelays = false
    await pool.clock.advance(74_000)
    pool.worker(2).reachesRelays = true
    await pool.clock.advance(10_000)
    assert.deepEqual(pool.story, [
      '7.99s tor2 healthy > suspect',
      '42.52s tor2 suspect > dead',
      '42.52s tor2 dead > recovery',
      '42.52s tor2 host-reachable passed',
      '42.52s tor2 socks-answers passed',
      '42.52s tor2 restart-tor skipped',
      '50.57s tor2 verify-circuit failed',
      '51.57s tor2 host-reachable passed',
      '51.57s tor2 socks-answers passed',
      '53.57s tor2 restart-tor passed',
      '61.62s tor2 verify-circuit failed',
      '63.62s tor2 host-reachable passed',
      '63.62s tor2 socks-answers passed',
      '65.62s tor2 restart-tor passed',
      '73.67s tor2 verify-circuit failed',
      '76.22s tor2 recovery > healthy',
    ])
  })

  it('takes a frozen worker out of rotation within 3 s and gives it up within 4 s, whenever that happens', async () => {
    for (let phase = 0; phase < PHASES; phase++) {
      await using pool = poolOf({ size: 4 })
      await pool.clock.advance(60_000 + phase * 100)
      pool.worker(3).process = 'hung'
      await pool.clock.advance(3_000)
      assert.notEqual(pool.monitor(3).health.status, 'healthy', `frozen at ${phase}`)
      await pool.clock.advance(1_000)
      assert.equal(pool.monitor(3).health.status, 'dead', `frozen at ${phase}`)
      await pool.clock.advance(6_100)
      assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
      assert.equal(pool.worker(3).restarts, 1)
    }
  })

  it('restarts a frozen worker as soon as it is certain that it is the only one', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    pool.startStory()
    pool.worker(3).process = 'hung'
    await pool.clock.advance(10_000)
    assert.deepEqual(pool.story, [
      '2.00s tor3 healthy > suspect',
      '3.00s tor3 suspect > dead',
      '3.00s tor3 recover held: it hangs; others may hang too',
      '6.00s tor3 dead > recovery',
      '6.00s tor3 host-reachable passed',
      '7.00s tor3 socks-answers failed',
      '9.00s tor3 restart-tor passed',
      '9.05s tor3 verify-circuit passed',
      '9.05s tor3 recovery > healthy',
    ])
  })

  it('restarts a worker that exited at once, also when most of them do', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    for (const n of [1, 2, 3]) {
      pool.worker(n).process = 'exited'
      pool.monitor(n).lost('it was killed by SIGKILL')
    }
    assert.deepEqual(pool.statuses(), ['dead', 'dead', 'dead', 'healthy'])
    await pool.clock.advance(2_100)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
  })

  it('can be killed twenty times in ten minutes and is back each time', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    for (let i = 0; i < 20; i++) {
      pool.worker(1).process = 'exited'
      pool.monitor(1).lost('it was killed by SIGKILL')
      await pool.clock.advance(3_000)
      assert.equal(pool.monitor(1).health.status, 'healthy', `kill ${i}`)
      await pool.clock.advance(10_000)
    }
    assert.equal(pool.worker(1).restarts, 20)
  })

  it('tells the pool when a worker came back from the dead, and not when it first came up', async () => {
    await using pool = poolOf({ size: 2 })
    await pool.clock.advance(61_000)
    assert.equal(pool.monitor(1).describe().healthySince, undefined)
    pool.worker(1).process = 'exited'
    pool.monitor(1).lost('it was killed by SIGKILL')
    await pool.clock.advance(10_000)
    assert.equal(pool.monitor(1).describe().healthySince, 63_050)
  })
})
