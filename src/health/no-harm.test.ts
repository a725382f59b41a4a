import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { poolOf } from './test-pool.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('A pool that heals itself', { timeout: 120_000 }, () => {
  it('holds against nobody what fails for all, says so, and is well as soon as it works again', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    pool.startStory()
    pool.world.hasUplink = false
    await pool.clock.advance(10 * MINUTE)
    const since = pool.governor.uplinkSuspectSince ?? Number.NaN
    assert.ok(since > 61_000 && since < 73_000, `${since}`)
    pool.world.hasUplink = true
    await pool.clock.advance(11_000)
    assert.deepEqual(
      pool.story.map((line) => line.replace(/^\S+ /, '')),
      ['uplink suspected', 'uplink cleared'],
    )
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
  })

  it('restarts nothing when the machine is so busy that no worker answers', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    for (const worker of pool.workers.values()) worker.process = 'hung'
    await pool.clock.advance(MINUTE)
    for (const worker of pool.workers.values()) if (worker.process === 'hung') worker.process = 'running'
    await pool.clock.advance(MINUTE)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
    for (const worker of pool.workers.values()) assert.equal(worker.restarts, 0)
  })

  it('restarts a pool that hangs for good, a part of it at a time', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    for (const worker of pool.workers.values()) worker.process = 'hung'
    await pool.clock.advance(5 * MINUTE)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
    for (const worker of pool.workers.values()) assert.equal(worker.restarts, 1)
  })

  it('restarts three frozen workers soon when the fourth one answers', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    for (const id of [1, 2, 3]) pool.worker(id).process = 'hung'
    await pool.clock.advance(40_000)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
    for (const id of [1, 2, 3]) assert.equal(pool.worker(id).restarts, 1)
  })

  it('takes a frozen worker out of rotation also while the check endpoints are down, and restarts it afterwards', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    pool.world.hasSites = false
    await pool.clock.advance(MINUTE)
    pool.worker(3).process = 'hung'
    await pool.clock.advance(MINUTE)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'dead', 'healthy'])
    assert.equal(pool.worker(3).restarts, 0)
    assert.match(pool.monitor(3).describe().nextAction?.reason ?? '', /recover is held: .* the uplink is suspected/)
    pool.world.hasSites = true
    await pool.clock.advance(20_000)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
    assert.equal(pool.worker(3).restarts, 1)
  })

  it('does not restart workers that cannot bootstrap because the uplink is down from the start', async () => {
    await using pool = poolOf({ size: 4, hasUplink: false })
    await pool.clock.advance(HOUR)
    assert.deepEqual(pool.statuses(), ['starting', 'starting', 'starting', 'starting'])
    for (const worker of pool.workers.values()) assert.equal(worker.restarts, 0)
    pool.world.hasUplink = true
    await pool.clock.advance(20_000)
    assert.deepEqual(pool.statuses(), ['healthy', 'healthy', 'healthy', 'healthy'])
  })

  it('starts a worker again that exited while the uplink is down', async () => {
    await using pool = poolOf({ size: 4 })
    await pool.clock.advance(61_000)
    pool.world.hasUplink = false
    await pool.clock.advance(MINUTE)
    pool.worker(4).process = 'exited'
    pool.monitor(4).lost('it was killed by SIGKILL')
    await pool.clock.advance(3_000)
    assert.equal(pool.worker(4).process, 'running')
    await pool.clock.advance(HOUR)
    assert.equal(pool.worker(4).restarts, 1)
  })

  it('heals no more than half of the pool at once', async () => {
    await using pool = poolOf({ size: 5 })
    await pool.clock.advance(61_000)
    pool.startStory()
    // One after the other, so that it does not look like the uplink.
    for (const n of [1, 2, 3, 4]) {
      pool.worker(n).reachesRelays = false
      await pool.clock.advance(20_000)
    }
    let most = 0
    for (let i = 0; i < 3_000; i++) {
      await pool.clock.advance(100)
      most = Math.max(most, pool.story.length === 0 ? 0 : attempting(pool.story))
    }
    assert.equal(most, 2)
    assert.ok(pool.story.some((line) => line.includes('as many workers as may be are in healing')))
    assert.equal(pool.monitor(5).health.status, 'healthy')
  })

  it('reboots a worker once an hour and three times a day, and then says that it is quarantined', async () => {
    await using pool = poolOf({ size: 3, hasPulse: false, hasHost: true })
    await pool.clock.advance(61_000)
    pool.startStory()
    pool.worker(1).reachesRelays = false
    await pool.clock.advance(4 * HOUR)
    const reboots = pool.story.flatMap((line) => (line.endsWith('reboot ordered') ? Number.parseFloat(line) : []))
    assert.equal(reboots.length, 3)
    assert.ok(
      reboots.slice(1).every((at, i) => at - (reboots[i] ?? 0) >= 3_600),
      `${reboots}`,
    )
    assert.equal(pool.worker(1).reboots, 3)

    const { quarantine, nextAction } = pool.monitor(1).describe()
    assert.equal(quarantine?.reason, 'it was rebooted 3 times in a day')
    const until = 61_000 + (reboots[0] ?? 0) * 1_000 + 24 * HOUR
    assert.ok(Math.abs((quarantine?.until ?? 0) - until) < 100, `${quarantine?.until} is not ${until}`)
    assert.equal(nextAction?.type, 'reboot')
    assert.equal(nextAction?.at, quarantine?.until)
    assert.match(nextAction?.reason ?? '', /held: it was rebooted 3 times in a day/)

    const restarts = pool.worker(1).restarts
    await pool.clock.advance(2 * HOUR)
    assert.equal(pool.worker(1).restarts, restarts, 'a quarantined worker is left alone')
    pool.worker(1).reachesRelays = true
    await pool.clock.advance(20_000)
    assert.equal(pool.monitor(1).health.status, 'healthy', 'it may come back by itself')
    assert.equal(pool.monitor(1).describe().quarantine, undefined)
  })

  it('holds down a worker whose health wavers', async () => {
    await using pool = poolOf({ size: 4, hasPulse: false })
    await pool.clock.advance(61_000)
    pool.startStory()
    for (let i = 0; i < 3; i++) {
      pool.worker(2).reachesRelays = false
      await pool.clock.advance(15_000)
      pool.worker(2).reachesRelays = true
      await pool.clock.advance(15_000)
    }
    const { flapping } = pool.monitor(2).describe()
    assert.equal(pool.monitor(2).health.status, 'suspect')
    assert.ok(flapping !== undefined)
    await pool.clock.advance(flapping.until - pool.clock.now() - 1)
    assert.equal(pool.monitor(2).health.status, 'suspect')
    await pool.clock.advance(10_001)
    assert.equal(pool.monitor(2).health.status, 'healthy')
    assert.equal(pool.monitor(2).describe().flapping, undefined)
    assert.equal(pool.story.filter((line) => line.endsWith('held down')).length, 1)
  })
})

/** How many recovery attempts are under way, by the story: begun with the first step or the state, ended by the last. */
function attempting(story: readonly string[]): number {
  const busy = new Set<string>()
  for (const line of story) {
    const [, worker = '', what = ''] = /s (\S+) (.*)/.exec(line) ?? []
    if (/host-reachable|socks-answers|restart-tor/.test(what)) busy.add(worker)
    if (/verify-circuit/.test(what)) busy.delete(worker)
  }
  return busy.size
}
