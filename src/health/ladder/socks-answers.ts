import type { RecoveryStep } from '../recovery.ts'
import type { LadderWorker } from './ladder-worker.ts'

export function socksAnswers(worker: LadderWorker, timeLimitMs: number): RecoveryStep {
  return { name: 'socks-answers', timeLimitMs, run: (signal) => worker.greetSocks(signal) }
}
