import type { RecoveryStep } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

/** The limit leaves time for circuits that have yet to be built. */
export function verifyCircuit(worker: LadderWorker): RecoveryStep {
  return { name: 'verify-circuit', timeLimitMs: 20_000, run: (signal) => worker.verifyCircuit(signal) }
}
