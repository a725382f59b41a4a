import { usageStoreContract } from '../../test/contracts/usage-store-contract.ts'
import { MemoryUsage } from './memory-usage.ts'

usageStoreContract('MemoryUsage', async () => {
  const kept = new MemoryUsage()
  return { use: async (work) => work(kept), async [Symbol.asyncDispose]() {} }
})
