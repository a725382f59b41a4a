import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { StoredKey } from '../../src/domain/key.ts'
import type { Store } from '../../src/store/store.ts'

/** `open` opens the same store again and again: what one opening wrote, the next one reads. */
export function storeContract(name: string, create: () => { open(): Store } & Disposable): void {
  describe(`the ${name} store keeps the promise of a store`, () => {
    it('makes the pool secret once', () => {
      using place = create()
      {
        using store = place.open()
        assert.deepEqual(
          store.poolSecret(() => Buffer.alloc(32, 7)),
          Buffer.alloc(32, 7),
        )
      }
      using store = place.open()
      const generate = () => assert.fail('the secret is there already')
      assert.deepEqual(store.poolSecret(generate), Buffer.alloc(32, 7))
    })

    it('knows no mode until one is set, then the last one', () => {
      using place = create()
      {
        using store = place.open()
        assert.equal(store.mode(), undefined)
        store.setMode('sticky')
        store.setMode('failover')
      }
      using store = place.open()
      assert.equal(store.mode(), 'failover')
    })

    it('keeps the last desired state of each worker', () => {
      using place = create()
      {
        using store = place.open()
        assert.deepEqual(store.desiredStates(), new Map())
        store.setDesiredState('tor01', 'drained')
        store.setDesiredState('tor02', 'stopped')
        store.setDesiredState('tor01', 'enabled')
      }
      using store = place.open()
      assert.deepEqual(
        store.desiredStates(),
        new Map([
          ['tor01', 'enabled'],
          ['tor02', 'stopped'],
        ]),
      )
    })

    it('keeps keys as they are, until they are removed', () => {
      using place = create()
      const plain = storedKey('plain', {})
      const full = storedKey('full', {
        scopes: ['fetch', 'workers:read'],
        expiresAt: 2_000_000_000_000,
        limits: { rate: 0.5, burst: 3, concurrent: 2, bytesPerDay: 5_000_000_000 },
        targets: { allow: ['example.com'], deny: ['203.0.113.0/24', ':25'] },
      })
      {
        using store = place.open()
        assert.deepEqual(store.keys(), [])
        for (const key of [plain, full, storedKey('gone', {})]) store.addKey(key)
        assert.throws(() => store.addKey(storedKey('full', { name: 'another' })))
        store.setKeyUsed('full', 3_600_000)
        store.removeKey('gone')
        store.removeKey('never')
        store.setKeyUsed('never', 1)
      }
      using store = place.open()
      const kept = [...store.keys()].sort((a, b) => (a.key.id < b.key.id ? -1 : 1))
      assert.deepEqual(kept, [{ ...full, key: { ...full.key, lastUsedAt: 3_600_000 } }, plain])
    })
  })
}

function storedKey(id: string, change: Partial<StoredKey['key']>): StoredKey {
  const key = { id, name: 'a "name"', scopes: [], createdAt: 1_000, expiresAt: undefined, lastUsedAt: undefined }
  return { key: { ...key, limits: {}, targets: {}, ...change }, digest: Buffer.alloc(32, id) }
}
