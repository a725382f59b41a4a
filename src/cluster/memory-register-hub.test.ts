import { registerHubContract } from '../../test/contracts/register-hub-contract.ts'
import { MemoryRegisterHub } from './memory-register-hub.ts'

registerHubContract('memory', async () => {
  let now = Date.UTC(2026, 10, 26)
  const hub = new MemoryRegisterHub(() => now)
  return {
    link: async () => hub.link(),
    empty: async () => hub.lose(),
    restart: async () => hub.restart(),
    async waitMs(ms) {
      now += ms
    },
    async [Symbol.asyncDispose]() {},
  }
})
