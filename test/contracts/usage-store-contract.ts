import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UsageStore } from '../../src/limits/usage-store.ts'

/** Where a store keeps its things. Opening it again is a restart. */
export interface UsagePlace extends Disposable {
  open(): UsageStore & Partial<Disposable>
}

/** What every `UsageStore` promises. */
export function usageStoreContract(kind: string, create: () => UsagePlace): void {
  describe(`${kind} keeps the bytes of a day`, () => {
    it('across restarts, replacing what it had for a key and leaving the others', () => {
      using place = create()
      restart(place, (store) => {
        assert.deepEqual(store.usageOn('2026-11-26'), new Map())
        store.setUsage(
          '2026-11-26',
          new Map([
            ['a', 1],
            ['b', 5_000_000_000_000],
          ]),
        )
        store.setUsage('2026-11-26', new Map([['a', 7]]))
        store.setUsage('2026-11-26', new Map())
      })
      restart(place, (store) => {
        assert.deepEqual(
          new Map(store.usageOn('2026-11-26')),
          new Map([
            ['a', 7],
            ['b', 5_000_000_000_000],
          ]),
        )
      })
    })

    it('and of no other day', () => {
      using place = create()
      restart(place, (store) => {
        store.setUsage('2026-11-26', new Map([['a', 1]]))
        assert.deepEqual(store.usageOn('2026-11-27'), new Map())
        store.setUsage('2026-11-27', new Map([['b', 2]]))
        assert.deepEqual(store.usageOn('2026-11-26'), new Map())
      })
      restart(place, (store) => assert.deepEqual(new Map(store.usageOn('2026-11-27')), new Map([['b', 2]])))
    })
  })
}

function restart(place: UsagePlace, use: (store: UsageStore) => void): void {
  const store = place.open()
  use(store)
  store[Symbol.dispose]?.()
}
