import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { StoredKey } from '../../src/domain/key.ts'
import type { Store, StoredSession } from '../../src/store/store.ts'

/** A store may forget by itself what ended long ago, so this is not. */
const NOW = Date.now()

/** Where a store keeps its things. What one opening wrote, the next one reads: `use` has closed it when it resolves. */
export interface StorePlace extends AsyncDisposable {
  use(work: (store: Store) => void): Promise<void>
}

/** What every `Store` promises. */
export function storeContract(name: string, create: () => Promise<StorePlace>): void {
  describe(`the ${name} store keeps the promise of a store`, () => {
    it('makes the pool secret once', async () => {
      await using place = await create()
      let secret: Buffer = Buffer.alloc(0)
      await place.use((store) => {
        secret = store.poolSecret(() => Buffer.alloc(32, 7))
        assert.equal(secret.length, 32)
      })
      await place.use((store) => {
        const generate = () => assert.fail('the secret is there already')
        assert.deepEqual(store.poolSecret(generate), secret)
      })
    })

    it('knows no mode until one is set, then the last one', async () => {
      await using place = await create()
      await place.use((store) => {
        assert.equal(store.mode(), undefined)
        store.setMode('sticky')
        store.setMode('failover')
      })
      await place.use((store) => {
        assert.equal(store.mode(), 'failover')
      })
    })

    it('keeps the last desired state of each worker', async () => {
      await using place = await create()
      await place.use((store) => {
        assert.deepEqual(store.desiredStates(), new Map())
        store.setDesiredState('tor01', 'drained')
        store.setDesiredState('tor02', 'stopped')
        store.setDesiredState('tor01', 'enabled')
      })
      await place.use((store) => {
        assert.deepEqual(
          store.desiredStates(),
          new Map([
            ['tor01', 'enabled'],
            ['tor02', 'stopped'],
          ]),
        )
      })
    })

    it('keeps keys as they are, until they are removed', async () => {
      await using place = await create()
      const plain = storedKey('plain', {})
      const full = storedKey('full', {
        scopes: ['fetch', 'workers:read'],
        expiresAt: 2_000_000_000_000,
        limits: { rate: 0.5, burst: 3, concurrent: 2, bytesPerDay: 5_000_000_000 },
        targets: { allow: ['example.com'], deny: ['203.0.113.0/24', ':25'] },
      })
      await place.use((store) => {
        assert.deepEqual(store.keys(), [])
        for (const key of [plain, full, storedKey('gone', {})]) store.addKey(key)
        assert.throws(() => store.addKey(storedKey('full', { name: 'another' })))
        store.setKeyUsed('full', 3_600_000)
        store.removeKey('gone')
        store.removeKey('never')
        store.setKeyUsed('never', 1)
      })
      await place.use((store) => {
        const kept = [...store.keys()].sort((a, b) => (a.key.id < b.key.id ? -1 : 1))
        assert.deepEqual(kept, [{ ...full, key: { ...full.key, lastUsedAt: 3_600_000 } }, plain])
      })
    })

    it('keeps sessions, also those that have ended, until they are forgotten', async () => {
      await using place = await create()
      const session: StoredSession = { worker: 'tor01', generation: 0, createdAt: NOW, endsAt: NOW + 60_000 }
      const labelled = { ...session, generation: 2, label: Buffer.from([0, 1, 255]) }
      await place.use((store) => {
        assert.equal(store.session('a'), undefined)
        store.setSession('a', session)
        store.setSession('b', session)
        store.setSession('b', labelled)
        store.setSession('gone', session)
        store.setSession('gone', undefined)
        store.setSession('never', undefined)
        store.setSession('ended', { ...session, endsAt: NOW - 1 })
        store.setSession('long-ended', { ...session, endsAt: NOW - 60_000 })
      })
      await place.use((store) => {
        assert.deepEqual(store.session('a'), session)
        assert.deepEqual(store.session('b'), labelled)
        assert.equal(store.session('gone'), undefined)
        assert.equal(store.session('ended')?.endsAt, NOW - 1)
        store.forgetSessions(NOW - 10_000)
        assert.equal(store.session('long-ended'), undefined)
        assert.deepEqual([...store.sessions()].map(([hash]) => hash).sort(), ['a', 'b', 'ended'])
        store.setSession('gone', session)
        assert.deepEqual(store.session('gone'), session)
      })
    })

    it('adds up what keys have used on a day', async () => {
      await using place = await create()
      await place.use((store) => {
        store.addUsage('2026-11-26', new Map([['a', 5]]))
        store.addUsage('2026-11-26', new Map([['a', 2_000_000_000_000]]).set('b', 1))
      })
      await place.use((store) => {
        assert.deepEqual(new Map(store.usageOn('2026-11-26')), new Map([['a', 2_000_000_000_005]]).set('b', 1))
        store.addUsage('2026-11-27', new Map([['b', 3]]))
        assert.deepEqual(new Map(store.usageOn('2026-11-27')), new Map([['b', 3]]))
      })
    })

    it('keeps the last statistics of each replica', async () => {
      await using place = await create()
      await place.use((store) => {
        assert.deepEqual(new Map(store.checkStatistics()), new Map())
        store.setCheckStatistics('gw1', { total: 1 })
        store.setCheckStatistics('gw2', [1, 'a', null, true])
        store.setCheckStatistics('gw1', { total: 2 })
      })
      await place.use((store) => {
        assert.deepEqual(new Map(store.checkStatistics()).get('gw1'), { total: 2 })
        assert.deepEqual(new Map(store.checkStatistics()).get('gw2'), [1, 'a', null, true])
      })
    })

    it('tells nobody of what came by it', async () => {
      await using place = await create()
      await place.use((store) => {
        using _listening = store.onChanged((change) => assert.fail(JSON.stringify(change)))
        store.setMode('random')
        store.setDesiredState('tor01', 'stopped')
        store.addKey(storedKey('own', {}))
        store.setSession('own', { worker: 'tor01', generation: 0, createdAt: NOW, endsAt: NOW })
      })
    })
  })
}

function storedKey(id: string, change: Partial<StoredKey['key']>): StoredKey {
  const key = { id, name: 'a "name"', scopes: [], createdAt: 1_000, expiresAt: undefined, lastUsedAt: undefined }
  return { key: { ...key, limits: {}, targets: {}, ...change }, digest: Buffer.alloc(32, id) }
}
