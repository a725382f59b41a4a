import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UsageStore } from '../../src/limits/usage-store.ts'

/** Where a store keeps its things. Opening it again is a restart. */
export interface UsagePlace extends AsyncDisposable {
  /** It is closed when this resolves. */
  use(work: (store: UsageStore) => void): Promise<void>
}

/** What every `UsageStore` promises. */
export function usageStoreContract(kind: string, create: () => Promise<UsagePlace>): void {
  describe(`${kind} keeps the bytes of a day`, () => {
    it('across restarts, replacing what it had for a key and leaving the others', async () => {
      await using place = await create()
      await place.use((store) => {
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
      await place.use((store) => {
        assert.deepEqual(
          new Map(store.usageOn('2026-11-26')),
          new Map([
            ['a', 7],
            ['b', 5_000_000_000_000],
          ]),
        )
      })
    })

    it('and of no other day', async () => {
      await using place = await create()
      await place.use((store) => {
        store.setUsage('2026-11-26', new Map([['a', 1]]))
        assert.deepEqual(store.usageOn('2026-11-27'), new Map())
        store.setUsage('2026-11-27', new Map([['b', 2]]))
        assert.deepEqual(store.usageOn('2026-11-26'), new Map())
      })
      await place.use((store) => assert.deepEqual(new Map(store.usageOn('2026-11-27')), new Map([['b', 2]])))
    })
  })
}
