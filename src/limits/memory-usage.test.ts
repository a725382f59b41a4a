import { usageStoreContract } from '../../test/contracts/usage-store-contract.ts'
import { MemoryUsage } from './memory-usage.ts'

usageStoreContract('MemoryUsage', () => {
  const kept = new MemoryUsage()
  return { open: () => kept, [Symbol.dispose]() {} }
})
