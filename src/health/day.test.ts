import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { poolOf } from './test-pool.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('A day of the pool', { timeout: 120_000 }, () => {
  it('restarts and reboots nothing in 24 hours of outages that are not its own', async () => {
    await using pool = poolOf({ size: 4, hasPulse: false, hasHost: true })
    const { clock, world } = pool
    for (let hour = 0; hour < 24; hour++) {
      await clock.advance(hour * HOUR + 10 * MINUTE - clock.now())
      const kind = hour % 4
      if (kind === 0) world.hasSites = false // the check endpoints are down
      if (kind === 1) world.loss = 0.3
      if (kind === 2) world.hasUplink = false
      if (kind === 3) {
        // An uplink that comes and goes.
        for (let i = 0; i < 20; i++) {
          world.hasUplink = !world.hasUplink
          await clock.advance(20_000 + 1_000 * i)
        }
      }
      if (kind !== 3) await clock.advance(20 * MINUTE)
      world.hasSites = world.hasUplink = true
      world.loss = 0
      await clock.advance(10 * MINUTE)
      assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'], `hour ${hour}`)
    }
    await clock.advance(24 * HOUR - clock.now())
    assert.ok(pool.story.filter((line) => line.endsWith('uplink suspected')).length >= 12, pool.story.join('\n'))
    for (const worker of pool.workers.values()) assert.deepEqual([worker.restarts, worker.reboots], [0, 0])
  })
})
