import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { KeyOrder } from '../domain/key.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { KeyRing } from './key-ring.ts'
import { MemoryKeyStore } from './memory-key-store.ts'

const HOUR_MS = 3_600_000
const ORDER: KeyOrder = { name: 'a crawler', scopes: ['fetch', 'proxy'] }

function createRing(store = new MemoryKeyStore(), clock = new FakeClock()) {
  return { ring: new KeyRing({ store, clock, random: seededRandom(1) }), store, clock }
}

describe('KeyRing', () => {
  it('knows whom a key stands for, and nothing of what is not a key', () => {
    const { ring } = createRing()
    const order = { ...ORDER, limits: { rate: 5 }, targets: { deny: ['example.com'] } }
    const { key, text } = ring.create(order)
    assert.deepEqual(ring.authenticate(text), {
      id: key.id,
      scopes: new Set(['fetch', 'proxy']),
      limits: { rate: 5 },
      targets: { deny: ['example.com'] },
    })
    const secret = text.slice(text.lastIndexOf('_') + 1)
    for (const wrong of [
      '',
      secret,
      `cbt__${secret}`,
      `cbt_${key.id}_`,
      `cbt_${key.id}`,
      `${text} `,
      `${text}a`,
      text.slice(0, -1),
    ])
      assert.equal(ring.authenticate(wrong), undefined, wrong)
    const other = ring.create(ORDER)
    assert.equal(ring.authenticate(`cbt_${key.id}_${other.text.split('_')[2]}`), undefined)
    assert.equal(ring.authenticate(`cbt_nobody00_${secret}`), undefined)
  })

  it('keeps no secret, and knows its keys again from what it keeps', () => {
    const { ring, store } = createRing()
    const { key, text } = ring.create(ORDER)
    const kept = JSON.stringify(store.keys().map((stored) => ({ ...stored, digest: stored.digest.toString('latin1') })))
    assert.doesNotMatch(kept, new RegExp(text.split('_')[2] ?? ''))
    const again = createRing(store).ring
    assert.equal(again.authenticate(text)?.id, key.id)
  })

  it('follows what another gateway does to the keys of the store', () => {
    const { ring, store, clock } = createRing()
    const other = new KeyRing({ store, clock, random: seededRandom(2) })
    const kept = ring.create(ORDER)
    const made = other.create({ ...ORDER, scopes: ['admin'] })
    assert.equal(ring.authenticate(made.text), undefined)
    ring.follow()
    assert.equal(ring.authenticate(made.text)?.id, made.key.id)
    assert.equal(ring.hasAdmin, true)

    const told: string[] = []
    ring.onGone(made.key.id, () => told.push('gone'))
    other.revoke(made.key.id)
    assert.equal(ring.authenticate(kept.text)?.id, kept.key.id)
    ring.follow()
    assert.deepEqual(told, ['gone'])
    assert.equal(ring.authenticate(made.text), undefined)
    assert.equal(ring.authenticate(kept.text)?.id, kept.key.id)
  })

  it('takes a revoked key no longer, at once, nor after a restart, and tells who uses it', () => {
    const { ring, store } = createRing()
    const { key, text } = ring.create(ORDER)
    const told: string[] = []
    ring.onGone(key.id, () => told.push('gone'))
    ring.onGone(key.id, () => told.push('not heard'))[Symbol.dispose]()
    assert.equal(ring.revoke(key.id).name, ORDER.name)
    assert.deepEqual(told, ['gone'])
    assert.equal(ring.authenticate(text), undefined)
    assert.deepEqual(ring.list(), [])
    assert.equal(createRing(store).ring.authenticate(text), undefined)
    ring.onGone(key.id, () => told.push('gone already'))
    assert.deepEqual(told, ['gone', 'gone already'])
    assert.throws(() => ring.revoke(key.id), { code: 'key_not_found' })
  })

  it('takes a revoked key no longer when that cannot be kept, and says so', () => {
    const { ring, store } = createRing()
    const { key, text } = ring.create(ORDER)
    const told: string[] = []
    ring.onGone(key.id, () => told.push('gone'))
    store.removeKey = () => {
      throw new Error('The disk is full')
    }
    assert.throws(() => ring.revoke(key.id), /The disk is full/)
    assert.equal(ring.authenticate(text), undefined)
    assert.deepEqual(told, ['gone'])
  })

  it('tells everybody who uses a key that it is gone, also behind one who fails at that', async () => {
    const { ring, clock } = createRing()
    const told: string[] = []
    const watch = (id: string) => {
      ring.onGone(id, () => {
        throw new Error('The disk is full')
      })
      ring.onGone(id, () => told.push(id))
    }
    const revoked = ring.create(ORDER).key.id
    watch(revoked)
    assert.throws(() => ring.revoke(revoked), /The disk is full/)
    const expiring = [1, 1, 2].map(
      (hours) => ring.create({ ...ORDER, expiresAt: clock.now() + hours * HOUR_MS }).key.id,
    )
    for (const id of expiring) watch(id)
    for (let hour = 0; hour < 2; hour++) await assert.rejects(clock.advance(HOUR_MS), /The disk is full/)
    assert.deepEqual(told, [revoked, ...expiring])
  })

  it('holds more keys that expire than a call has arguments', () => {
    const { store, clock } = createRing()
    const digest = Buffer.alloc(32)
    for (let n = 0; n < 150_000; n++) {
      const key = { ...ORDER, id: `${n}`, createdAt: 0, lastUsedAt: undefined, limits: {}, targets: {} }
      store.addKey({ key: { ...key, expiresAt: clock.now() + HOUR_MS + n }, digest })
    }
    assert.equal(createRing(store, clock).ring.list().length, 150_000)
  })

  it('takes a key until it expires and not a millisecond longer, and shows it further', async () => {
    const { ring, clock } = createRing()
    const { key, text } = ring.create({ ...ORDER, expiresAt: clock.now() + 3 * HOUR_MS })
    const lasting = ring.create(ORDER)
    const told: string[] = []
    ring.onGone(key.id, () => told.push(key.id))
    ring.onGone(lasting.key.id, () => told.push(lasting.key.id))
    await clock.advance(3 * HOUR_MS - 1)
    assert.equal(ring.authenticate(text)?.id, key.id)
    assert.deepEqual(told, [])
    await clock.advance(1)
    assert.equal(ring.authenticate(text), undefined)
    assert.deepEqual(told, [key.id])
    assert.ok(ring.authenticate(lasting.text))
    assert.deepEqual(
      ring.list().map(({ id }) => id),
      [key.id, lasting.key.id],
    )
  })

  it('writes down the hour of the last use, once an hour', async () => {
    const { ring, store, clock } = createRing()
    const { key, text } = ring.create(ORDER)
    assert.equal(ring.list()[0]?.lastUsedAt, undefined)
    for (let minute = 0; minute < 120; minute++) {
      ring.authenticate(text)
      ring.authenticate(`cbt_${key.id}_wrong`)
      await clock.advance(60_000)
    }
    assert.ok(store.uses.length <= 3, `${store.uses.length} writes`)
    assert.equal((ring.list()[0]?.lastUsedAt ?? 1) % HOUR_MS, 0)
    assert.equal(store.keys()[0]?.key.lastUsedAt, ring.list()[0]?.lastUsedAt)
  })

  it('knows whether somebody can make keys', async () => {
    const { ring, clock } = createRing()
    ring.create(ORDER)
    assert.equal(ring.hasAdmin, false)
    const { key } = ring.create({ name: 'mine', scopes: ['admin'], expiresAt: clock.now() + HOUR_MS })
    assert.equal(ring.hasAdmin, true)
    await clock.advance(HOUR_MS)
    assert.equal(ring.hasAdmin, false)
    ring.create({ name: 'theirs', scopes: ['fetch', 'admin'] })
    assert.equal(ring.hasAdmin, true)
    ring.revoke(key.id)
    assert.equal(ring.hasAdmin, true)
  })

  it('finds whom a key stood for by its id, as long as it is of use', async () => {
    const { ring, clock } = createRing()
    const { key, text } = ring.create({ ...ORDER, expiresAt: clock.now() + HOUR_MS })
    assert.equal(ring.callerOf(key.id), ring.authenticate(text))
    assert.equal(ring.callerOf('nobody'), undefined)
    await clock.advance(HOUR_MS)
    assert.equal(ring.callerOf(key.id), undefined)
  })
})
