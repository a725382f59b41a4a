import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { Listeners } from '../lib/listeners.ts'
import { seededRandom } from '../lib/random.ts'
import { Monitor } from './monitor.ts'
import type { SharedChange, SharedWatch } from './shared-watch.ts'

/** The watch over a worker that another gateway heals, which never comes to it. */
function createWatch() {
  const clock = new FakeClock()
  const changes = new Listeners<SharedChange>((error) => assert.fail(String(error)))
  const log: string[] = []
  const world = { isWell: false, fence: undefined as number | undefined }
  const shared: SharedWatch = {
    isReachedByAll: true,
    fence: () => world.fence,
    healer: () => (world.fence === undefined ? 'gw2' : 'gw1'),
    keep: () => ({ [Symbol.dispose]() {} }),
    seize: async () => {},
    elsewhere: () => ({ wellUntil: Number.NEGATIVE_INFINITY, isHealed: false, wellFor: undefined, reboots: [] }),
    onChange: (listener) => changes.add(listener),
    report: () => ({ [Symbol.dispose]() {} }),
    tell() {},
  }
  const monitor = new Monitor(
    {
      async probe(signal) {
        await clock.sleep(50, signal)
        log.push(world.isWell ? 'passed' : 'failed')
        return world.isWell ? { verdict: 'passed' } : { verdict: 'failed', reason: 'no circuit' }
      },
      recover: (attempt, signal) =>
        attempt.climb(
          [
            {
              name: 'restart',
              timeLimitMs: 5_000,
              async run() {
                log.push(`restarted under ${attempt.fence}`)
                world.isWell = true
              },
            },
          ],
          signal,
        ),
    },
    { clock, random: seededRandom(1), shared },
  )
  const end = new AbortController()
  const running = monitor.run(end.signal)
  return {
    ...{ clock, log, world, monitor },
    hold(fence: number | undefined) {
      world.fence = fence
      changes.notify('lease')
    },
    async [Symbol.asyncDispose]() {
      end.abort(new Error('the test is over'))
      await running
    },
  }
}

describe('a gateway that is given a worker to heal', () => {
  it('looks at it first, and leaves it alone when it was healed meanwhile', async () => {
    await using watch = createWatch()
    await watch.clock.advance(300_000)
    assert.equal(watch.monitor.health.status, 'dead')
    assert.deepEqual([...new Set(watch.log.splice(0))], ['failed'])
    watch.world.isWell = true
    watch.hold(7)
    await watch.clock.advance(10_000)
    assert.equal(watch.monitor.health.status, 'healthy')
    assert.deepEqual([...new Set(watch.log)], ['passed'])
  })

  it('does not take one that was ill before this gateway started for one that is coming up', async () => {
    await using watch = createWatch()
    watch.hold(7)
    await watch.clock.advance(30_000)
    assert.equal(watch.monitor.health.status, 'healthy')
    assert.ok(watch.log.includes('restarted under 7'))
  })

  it('heals it at once when it finds it ill, under its lease', async () => {
    await using watch = createWatch()
    await watch.clock.advance(300_000)
    watch.log.length = 0
    watch.hold(7)
    await watch.clock.advance(1_000)
    assert.deepEqual(watch.log.slice(0, 2), ['failed', 'restarted under 7'])
  })

  it('looks again at what it found ill under a lease before, which it has lost since', async () => {
    await using watch = createWatch()
    await watch.clock.advance(300_000)
    watch.hold(7)
    await watch.clock.advance(20)
    watch.hold(undefined)
    await watch.clock.advance(35)
    assert.equal(watch.log.at(-1), 'failed')
    watch.log.length = 0
    watch.world.isWell = true
    watch.hold(9)
    await watch.clock.advance(10_000)
    assert.deepEqual([...new Set(watch.log)], ['passed'])
  })
})
