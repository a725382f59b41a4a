import { type RecoveryStep, SKIPPED } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

/** The limit is for a cold directory on a slow network. `isNeeded` is asked when the step's turn has come. */
export function restartTor(worker: LadderWorker, isNeeded: () => boolean): RecoveryStep {
  return {
    name: 'restart-tor',
    timeLimitMs: 90_000,
    async run(signal) {
      if (!isNeeded()) return SKIPPED
      return await worker.restartTor(signal)
    },
  }
}
