import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import type { Json } from '../lib/json.ts'
import { systemRandom } from '../lib/random.ts'
import { Seal } from '../lib/seal.ts'
import { MemoryStore } from './memory-link.ts'
import type { Announcement } from './placement.ts'
import { ValkeyPresence } from './valkey-presence.ts'
import { WorkerAnnouncements } from './worker-announcements.ts'

const secret = randomBytes(32)
const at = (last: number) => ({ host: `10.0.0.${last}`, port: 32212 })

function onError(error: unknown): never {
  throw error
}

function createCluster() {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  const presenceOf = (replica: string) =>
    new ValkeyPresence({
      link: store.link(),
      seal: new Seal(secret, 'presence', systemRandom),
      clock,
      self: { replica, run: systemRandom.bytes(8).toString('hex'), version: '1.0.0', startedAt: clock.now() },
      onError,
    })
  return {
    clock,
    store,
    presenceOf,
    replica(name: string, own: () => Announcement | undefined) {
      const presence = presenceOf(name)
      const announcements = new WorkerAnnouncements({ presence, clock, own, onError })
      let changes = 0
      announcements.onChange(() => changes++)
      return {
        ...{ presence, announcements },
        offered: () => Object.fromEntries(announcements.announced),
        changes: () => changes,
        async leave() {
          announcements[Symbol.dispose]()
          await presence[Symbol.asyncDispose]()
        },
      }
    },
  }
}

describe('the announcements of workers', () => {
  it('tell everybody what the others offer, and of changes alone', async () => {
    const { clock, replica } = createCluster()
    const offer = { at: at(12), workers: ['gw2-tor01'] }
    const one = replica('gw1', () => undefined)
    const two = replica('gw2', () => ({ ...offer }))
    await clock.advance(5_000)
    assert.deepEqual(one.offered(), { gw2: offer })
    assert.deepEqual(one.announcements.at('gw2'), at(12))
    assert.deepEqual(two.offered(), {})
    assert.equal(one.changes(), 1)
    offer.workers = ['gw2-tor01', 'gw2-tor02']
    await clock.advance(1_000)
    assert.deepEqual(one.offered(), { gw2: offer })
    assert.equal(one.changes(), 2)
    await Promise.all([one.leave(), two.leave()])
    assert.equal(clock.pending, 0)
  })

  it('hold for a minute after a replica has gone, and on if it is back by then, wherever it is', async () => {
    const { clock, replica } = createCluster()
    const one = replica('gw1', () => undefined)
    const two = replica('gw2', () => ({ at: at(12), workers: ['gw2-tor01'] }))
    await clock.advance(2_000)
    await two.leave()
    await clock.advance(50_000)
    assert.deepEqual(Object.keys(one.offered()), ['gw2'])
    const again = replica('gw2', () => ({ at: at(13), workers: ['gw2-tor01'] }))
    await clock.advance(70_000)
    assert.deepEqual(one.announcements.at('gw2'), at(13))
    await again.leave()
    await clock.advance(61_000)
    assert.deepEqual(one.offered(), {})
    await one.leave()
  })

  it('are forgotten of a replica that is back and offers nothing any more', async () => {
    const { clock, replica } = createCluster()
    const one = replica('gw1', () => undefined)
    const two = replica('gw2', () => ({ at: at(12), workers: ['gw2-tor01'] }))
    await clock.advance(2_000)
    await two.leave()
    const again = replica('gw2', () => undefined)
    await clock.advance(70_000)
    assert.deepEqual(one.offered(), {})
    await Promise.all([one.leave(), again.leave()])
    assert.equal(clock.pending, 0)
  })

  it('hold while the store is down', async () => {
    const { clock, store, replica } = createCluster()
    const one = replica('gw1', () => undefined)
    const two = replica('gw2', () => ({ at: at(12), workers: ['gw2-tor01'] }))
    await clock.advance(2_000)
    store.stop()
    await clock.advance(600_000)
    assert.deepEqual(Object.keys(one.offered()), ['gw2'])
    await Promise.all([one.leave(), two.leave()])
  })

  it('are none where they make no sense, and none of them has a name for a host', async () => {
    const { clock, presenceOf, replica } = createCluster()
    const one = replica('gw1', () => undefined)
    const strange: Json[] = [
      1,
      null,
      [],
      {},
      { at: { host: 'gw2.example', port: 1 }, workers: ['a'] },
      { at: { host: 'fe80::1%eth0', port: 1 }, workers: ['a'] },
      { at: { host: '10.0.0.1', port: 0 }, workers: ['a'] },
      { at: { host: '10.0.0.1', port: 1 }, workers: 'a' },
    ]
    const other = presenceOf('gw2')
    other.report('workers', () => strange[0])
    while (strange.length > 0) {
      await clock.advance(1_000)
      assert.deepEqual(one.offered(), {})
      strange.shift()
    }
    other.tell('workers', { at: { host: '10.0.0.1', port: 1, new: 1 }, workers: ['a', 'B', 7, 'b'], new: [] })
    await clock.advance(1_000)
    assert.deepEqual(one.offered(), { gw2: { at: { host: '10.0.0.1', port: 1 }, workers: ['a', 'b'] } })
    await Promise.all([one.leave(), other[Symbol.asyncDispose]()])
  })
})
