import { type RecoveryStep, SKIPPED } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

/** Before anything is done to the box: it heals itself as well, and two who restart Tor make it come up later, not sooner. */
export function nodeStatus(worker: LadderWorker): RecoveryStep {
  return {
    name: 'node-status',
    timeLimitMs: 5_000,
    run: async (signal) => (worker.readNode ? await worker.readNode(signal) : SKIPPED),
  }
}
