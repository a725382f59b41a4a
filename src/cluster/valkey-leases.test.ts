import { leasesContract } from '../../test/contracts/leases-contract.ts'
import { memoryLeases } from './memory-leases.ts'
import { MemoryStore } from './memory-link.ts'

leasesContract('memory', async (clock) => {
  const store = new MemoryStore(clock, new Map([memoryLeases()]))
  return {
    link: async () => store.link(),
    settled: () => clock.advance(0),
    pass: (_, ms) => clock.advance(ms),
    async freeze() {
      store.freeze()
      await clock.advance(3_000)
    },
    thaw: async () => store.thaw(),
    async [Symbol.asyncDispose]() {},
  }
})
