import { type RecoveryStep, SKIPPED } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

export function reconnectTunnel(worker: LadderWorker): RecoveryStep {
  return {
    name: 'reconnect-tunnel',
    timeLimitMs: 30_000,
    run: async (signal) => (worker.reconnectTunnel ? await worker.reconnectTunnel(signal) : SKIPPED),
  }
}
