import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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
  })
}
