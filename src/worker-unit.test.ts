import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OutcomeLedger } from './health/outcome-ledger.ts'
import { DEFAULT_POLICY } from './health/policy.ts'
import { PoolGovernor } from './health/pool-governor.ts'
import type { SharedWatch } from './health/shared-watch.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { seededRandom } from './lib/random.ts'
import { WorkerUnit } from './worker-unit.ts'
import { FakeDriver } from './workers/fake/fake-driver.ts'

const never = new AbortController().signal

describe('a worker that several gateways reach', { timeout: 20_000 }, () => {
  it('is restarted by the operator with its lease in hand, and without it when the store is down', async () => {
    await using world = unitOf()
    await world.clock.advance(1_000)
    assert.equal(world.unit.view(0, true).state, 'healthy')
    world.said.length = 0
    const restarted = world.unit.restart(never)
    await world.clock.advance(1_000)
    await restarted
    assert.deepEqual(world.said, ['keep', 'seize', 'let go'])
    world.said.length = 0
    world.shared.isDown = true
    const again = world.unit.restart(never)
    await world.clock.advance(20_000)
    await again
    assert.deepEqual(world.said, ['keep', 'seize', 'let go'])
    assert.equal(world.driver.observe().process, 'running')
  })

  it('is turned to again when another gateway has healed it, and never healed without the lease', async () => {
    await using world = unitOf()
    await world.clock.advance(1_000)
    let starts = 0
    const start = world.driver.start.bind(world.driver)
    world.driver.start = (signal) => {
      starts++
      return isBack ? start(signal) : Promise.reject(new Error('it is not up'))
    }
    let isBack = false
    world.driver.kill('its Tor is gone')
    await world.clock.advance(60_000)
    assert.equal(world.unit.view(0, true).state, 'dead')
    assert.ok(starts > 0)
    isBack = true
    await world.clock.advance(5_000)
    assert.equal(world.unit.view(0, true).state, 'healthy')
  })

  it('is turned to again also when it took longer to come up than one look at it lasts', async () => {
    await using world = unitOf()
    await world.clock.advance(1_000)
    const start = world.driver.start.bind(world.driver)
    let isBack = false
    world.driver.start = async (signal) => {
      if (isBack) return await start(signal)
      // Whoever is given up in the middle of it has not failed: it is as if it had never begun.
      await world.driver.stop()
      await world.clock.sleep(60_000, signal)
    }
    world.driver.kill('its Tor is gone')
    await world.clock.advance(60_000)
    assert.equal(world.unit.view(0, true).state, 'dead')
    isBack = true
    await world.clock.advance(5_000)
    assert.equal(world.unit.view(0, true).state, 'healthy')
  })

  it('is left alone when it is to be stopped', async () => {
    await using world = unitOf()
    await world.clock.advance(1_000)
    await world.unit.follow('stopped', never)
    await world.clock.advance(60_000)
    assert.equal(world.driver.observe().process, 'stopped')
  })
})

/** Another gateway has its lease. */
function unitOf() {
  const clock = new FakeClock()
  const said: string[] = []
  const driver = new FakeDriver({
    id: 'tor01',
    targets: new Map(),
    exits: [{ nickname: 'exit1', fingerprint: 'A'.repeat(40) }],
    clock,
  })
  const shared: SharedWatch & { isDown: boolean } = {
    isDown: false,
    isReachedByAll: true,
    fence: () => undefined,
    healer: () => 'gw2',
    keep() {
      said.push('keep')
      return { [Symbol.dispose]: () => void said.push('let go') }
    },
    async seize() {
      said.push('seize')
      if (shared.isDown) throw new Error('the store is down')
    },
    elsewhere: () => ({ wellUntil: Number.NEGATIVE_INFINITY, isHealed: false, wellFor: undefined, reboots: [] }),
    onChange: () => ({ [Symbol.dispose]() {} }),
    report: () => ({ [Symbol.dispose]() {} }),
    tell() {},
  }
  const unit = new WorkerUnit({
    ...{ clock, driver, shared, random: seededRandom(1), policy: DEFAULT_POLICY, desired: 'enabled' },
    name: { id: 'tor01', n: 1 },
    ward: new PoolGovernor({ clock }).ward('tor01'),
    outcomes: new OutcomeLedger(clock).page('tor01'),
    probe: async () => ({ verdict: 'passed' }),
    onEvent() {},
  })
  unit.start()
  return { clock, said, driver, shared, unit, [Symbol.asyncDispose]: () => unit[Symbol.asyncDispose]() }
}
