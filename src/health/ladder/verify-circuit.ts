import type { RecoveryStep } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

export const VERIFY_CIRCUIT = 'verify-circuit'

/** The limit leaves time for circuits that have yet to be built. */
export function verifyCircuit(worker: LadderWorker): RecoveryStep {
  return { name: VERIFY_CIRCUIT, timeLimitMs: 20_000, run: (signal) => worker.verifyCircuit(signal) }
}
