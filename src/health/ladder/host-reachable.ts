import type { RecoveryStep } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

export function hostReachable(worker: LadderWorker): RecoveryStep {
  return { name: 'host-reachable', timeLimitMs: 5_000, run: (signal) => worker.reachHost(signal) }
}
