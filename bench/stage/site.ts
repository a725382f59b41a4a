import { planNetwork } from '../../src/testnet/plan.ts'
import { lineOf, type Room } from './room.ts'
import { ROOT } from './root.ts'

const PORT = 8_000

/** Serves bench/site in a private Tor network, and resolves with its URL there, without a slash at the end. */
export async function startSite(room: Room): Promise<string> {
  const { addresses } = planNetwork({ isolation: 'namespace', latencyMs: 0, loopbackSlot: 0 })
  const command = [process.execPath, `${ROOT}/bench/site/main.ts`, addresses.www, `${PORT}`]
  await lineOf(room.start('site', command, { readsOutput: true }), /^ready$/)
  return `http://bench.cbtor.test:${PORT}`
}
