import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { gatewaysOf } from './test-gateways.ts'

const THREE = ['gw1', 'gw2', 'gw3']

describe('gateways that watch over the same workers', { timeout: 120_000 }, () => {
  it('heal one that breaks once, and all use it again soon', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1', 'tor2', 'tor3'] })
    const healer = world.healer('tor1')
    world.break('tor1')
    await world.advance(60_000)
    assert.deepEqual(
      world.box('tor1').orders.map(({ by, what }) => [by, what]),
      [[healer, 'restart']],
    )
    assert.deepEqual(world.statuses('tor1'), ['healthy', 'healthy', 'healthy'])
  })

  it('probe a healthy worker but once for all of them', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1'] })
    await world.advance(30_000)
    const { probes } = world.box('tor1')
    probes.clear()
    await world.advance(120_000)
    const healer = world.healer('tor1') ?? ''
    assert.ok((probes.get(healer) ?? 0) >= 11, `${probes.get(healer)}`)
    for (const name of THREE.filter((each) => each !== healer)) assert.equal(probes.get(name) ?? 0, 0, name)
  })

  it('look at once at what one of them sees fail, and judge by what they see themselves', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1'] })
    await world.advance(30_000)
    const healer = world.healer('tor1') ?? ''
    const other = THREE.find((each) => each !== healer) ?? ''
    const third = THREE.find((each) => each !== healer && each !== other) ?? ''
    world.box('tor1').cutOff.add(other)
    world.box('tor1').probes.clear()
    world.gateway(other).monitor('tor1').lost('the way there is gone')
    await world.advance(1_500)
    assert.equal(world.box('tor1').probes.get(third), 1)
    assert.ok((world.box('tor1').probes.get(healer) ?? 0) >= 1)
    assert.deepEqual(
      world.gateway(third).events.flatMap(({ event }) => (event.type === 'doubted-elsewhere' ? [event.reason] : [])),
      ['another gateway has lost it'],
    )
    await world.advance(300_000)
    assert.equal(world.box('tor1').orders.length, 0)
    assert.equal(world.gateway(healer).monitor('tor1').health.status, 'healthy')
    assert.equal(world.gateway(other).monitor('tor1').health.status, 'dead')
    assert.match(
      world.gateway(other).monitor('tor1').nextAction?.reason ?? '',
      new RegExp(`gateway ${healer} heals it`),
    )
    world.box('tor1').cutOff.clear()
    await world.advance(5_000)
    assert.equal(world.gateway(other).monitor('tor1').health.status, 'healthy')
  })

  it('hear from who heals it that it is not well, and soon that it is well again', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1'] })
    await world.advance(30_000)
    world.break('tor1')
    await world.advance(13_000)
    for (const { replica, events, monitor } of world.all) {
      assert.notDeepEqual(monitor('tor1').health, { status: 'healthy', fails: 0 }, replica)
      if (replica === world.healer('tor1')) continue
      assert.ok(
        events.some(({ event }) => event.type === 'doubted-elsewhere'),
        replica,
      )
    }
    world.box('tor1').state = 'works'
    await world.advance(5_000)
    assert.deepEqual(world.statuses('tor1'), ['healthy', 'healthy', 'healthy'])
  })

  it('do not reboot the host of one that others find well', async () => {
    const policy = { rebootAfterAttempts: 1 }
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1'], policy, hasHost: true })
    await world.advance(30_000)
    const healer = world.healer('tor1') ?? ''
    const box = world.box('tor1')
    box.isMendable = false
    const real = box.cutOff
    real.add(healer)
    world.gateway(healer).monitor('tor1').lost('the way there is gone')
    await world.advance(600_000)
    assert.equal(box.orders.length, 0)
    assert.match(world.gateway(healer).monitor('tor1').nextAction?.reason ?? '', /finds it well|recovery/)
  })

  it('count the reboots of all of them', async () => {
    const policy = { rebootAfterAttempts: 1 }
    await using world = await gatewaysOf({ gateways: ['gw1', 'gw2'], workers: ['tor1'], policy, hasHost: true })
    const reboots = () => world.box('tor1').orders.filter(({ what }) => what === 'reboot')
    world.box('tor1').isMendable = false
    world.break('tor1')
    await world.advance(600_000)
    assert.equal(reboots().length, 1)
    const [first] = reboots()
    world.kill(first?.by ?? '')
    await world.advance(1_800_000)
    assert.equal(reboots().length, 1)
    await world.advance(2_000_000)
    assert.equal(reboots().length, 2)
    assert.ok((reboots()[1]?.at ?? 0) - (first?.at ?? 0) >= 3_600_000)
  })

  it('go on with a recovery that was cut short, as soon as the lease of who died is over', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1'] })
    await world.advance(30_000)
    const healer = world.healer('tor1') ?? ''
    world.break('tor1')
    world.box('tor1').isMendable = false
    for (let n = 0; n < 200 && world.box('tor1').orders.length === 0; n++) await world.advance(500)
    world.kill(healer)
    world.box('tor1').isMendable = true
    const killedAt = world.clock.now()
    await world.advance(30_000)
    const second = world.box('tor1').orders[1]
    assert.ok(second !== undefined && second.by !== healer)
    assert.ok(second.at - killedAt <= 12_000, `${second.at - killedAt}`)
    assert.equal(world.box('tor1').orders.length, 2)
    assert.deepEqual(world.statuses('tor1'), ['healthy', 'healthy'])
  })

  it('let one that stood still in the middle of a recovery give no order more', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1'] })
    await world.advance(30_000)
    const healer = world.healer('tor1') ?? ''
    world.break('tor1')
    for (let n = 0; n < 400; n++) {
      await world.advance(100)
      const { health } = world.gateway(healer).monitor('tor1')
      if (health.status === 'recovery') break
    }
    assert.equal(world.box('tor1').orders.length, 0)
    world.gateway(healer).process.pause()
    await world.advance(15_000)
    assert.equal(world.box('tor1').orders.length, 1)
    world.gateway(healer).process.resume()
    await world.advance(60_000)
    assert.equal(world.box('tor1').orders.length, 1)
    assert.deepEqual(world.statuses('tor1'), ['healthy', 'healthy', 'healthy'])
  })

  it('look first at one that they take over: it may have been healed meanwhile', async () => {
    await using world = await gatewaysOf({ gateways: ['gw1', 'gw2'], workers: ['tor1'] })
    await world.advance(30_000)
    const healer = world.healer('tor1') ?? ''
    const other = healer === 'gw1' ? 'gw2' : 'gw1'
    world.break('tor1')
    world.box('tor1').isMendable = false
    for (let n = 0; n < 200 && world.gateway(other).monitor('tor1').health.status !== 'dead'; n++)
      await world.advance(500)
    world.gateway(other).process.pause()
    world.box('tor1').isMendable = true
    await world.advance(120_000)
    assert.equal(world.box('tor1').state, 'works')
    const orders = world.box('tor1').orders.length
    world.kill(healer)
    await world.advance(10_000)
    world.gateway(other).process.resume()
    await world.advance(20_000)
    assert.equal(world.healer('tor1'), other)
    assert.equal(world.box('tor1').orders.length, orders)
    assert.deepEqual(world.statuses('tor1'), ['healthy'])
  })

  it('give up a recovery at once that an operator’s order elsewhere ends', async () => {
    await using world = await gatewaysOf({ gateways: ['gw1', 'gw2'], workers: ['tor1'] })
    await world.advance(30_000)
    const healer = world.healer('tor1') ?? ''
    const other = world.gateway(healer === 'gw1' ? 'gw2' : 'gw1')
    world.break('tor1')
    for (let n = 0; n < 200 && world.box('tor1').orders.length === 0; n++) await world.advance(250)
    using _ = other.leases.keep('tor1')
    const restart = async () => {
      await other.leases.seize('tor1', new AbortController().signal)
      other.monitor('tor1').reset('restarted by the operator')
    }
    const restarted = restart()
    await world.advance(1_500)
    const { health } = world.gateway(healer).monitor('tor1')
    assert.ok(health.status === 'recovery' && health.phase === 'waiting', health.status)
    assert.ok(other.leases.held('tor1'))
    await restarted
  })

  it('heal nothing while the store is down, and once when it is back', async () => {
    await using world = await gatewaysOf({ gateways: THREE, workers: ['tor1', 'tor2'] })
    await world.advance(30_000)
    world.store.freeze()
    await world.advance(10_000)
    world.break('tor1')
    await world.advance(60_000)
    assert.equal(world.box('tor1').orders.length, 0)
    assert.ok(!world.statuses('tor1').includes('healthy'))
    assert.deepEqual(world.statuses('tor2'), ['healthy', 'healthy', 'healthy'])
    world.store.thaw()
    await world.advance(20_000)
    assert.equal(world.box('tor1').orders.length, 1)
    assert.deepEqual(world.statuses('tor1'), ['healthy', 'healthy', 'healthy'])
  })
  it('never heal one twice, whatever happens to them and the store, and all is well when that is over', async () => {
    const mishap = fc.oneof(
      { weight: 3, arbitrary: fc.record({ what: fc.constant('break'), n: fc.nat(1) }) },
      {
        weight: 3,
        arbitrary: fc.record({ what: fc.constantFrom('pause', 'resume', 'kill', 'cut', 'mend'), n: fc.nat(2) }),
      },
      { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('freeze', 'thaw'), n: fc.constant(0) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('slow'), n: fc.nat(2) }) },
    )
    const story = fc.array(fc.tuple(mishap, fc.nat(12_000)), { maxLength: 15 })
    await fc.assert(
      fc.asyncProperty(story, async (mishaps) => {
        const workers = ['tor1', 'tor2', 'tor3', 'tor4', 'tor5'] // of which too few break for the uplink to be suspected
        await using world = await gatewaysOf({ gateways: THREE, workers })
        for (const [{ what, n }, ms] of mishaps) {
          const name = THREE[n] ?? ''
          const { process, wire } = world.gateway(name)
          if (what === 'break') world.break(workers[n] ?? '')
          if (what === 'pause') process.pause()
          if (what === 'resume') process.resume()
          if (what === 'cut') wire.cut()
          if (what === 'mend') wire.mend()
          if (what === 'slow') wire.delayMs = wire.delayMs === 0 ? 700 : 0
          if (what === 'freeze') world.store.freeze()
          if (what === 'thaw') world.store.thaw()
          if (what === 'kill') {
            world.kill(name)
            world.start(name)
          }
          await world.advance(ms)
        }
        world.store.thaw()
        for (const { process, wire } of world.all) {
          wire.delayMs = 0
          wire.mend()
          process.resume()
        }
        await world.advance(90_000)
        for (const id of workers) assert.deepEqual(world.statuses(id), ['healthy', 'healthy', 'healthy'], id)
      }),
      { numRuns: 20, seed: 11, endOnFailure: true },
    )
  })
})
