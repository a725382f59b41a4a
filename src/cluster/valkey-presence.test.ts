import { presenceContract } from '../../test/contracts/presence-contract.ts'
import { MemoryStore } from './memory-link.ts'

presenceContract('memory', async (clock) => {
  const store = new MemoryStore(clock)
  return {
    link: async () => store.link(),
    settled: () => clock.advance(0),
    async freeze() {
      store.freeze()
      await clock.advance(3_000)
    },
    thaw: async () => store.thaw(),
    async [Symbol.asyncDispose]() {},
  }
})
