import type { RecoveryAttempt, RecoveryStep } from '../recovery.ts'
import { diagnosis } from './diagnosis.ts'
import { hostReachable } from './host-reachable.ts'
import type { LadderWorker } from './ladder-worker.ts'
import { restartTor } from './restart-tor.ts'
import { socksAnswers } from './socks-answers.ts'
import { verifyCircuit } from './verify-circuit.ts'

/** Of a greeting over a unix socket. */
const SOCKS_LIMIT_MS = 1_000

/**
 * The way back of a process of our own. Its process may be gone and its SOCKS port closed: to see that is what the first
 * steps are for, since a restart ends every connection through the worker. The first attempt therefore leaves a Tor alone
 * that runs and answers, and goes on to see whether its circuits work again; any later one restarts it.
 */
export function localLadder(
  worker: LadderWorker,
  attempt: Pick<RecoveryAttempt, 'number' | 'isHung'>,
): readonly RecoveryStep[] {
  const host = diagnosis(hostReachable(worker))
  const socks = diagnosis(socksAnswers(worker, SOCKS_LIMIT_MS))
  const isNeeded = () => attempt.number > 1 || attempt.isHung || !host.hasPassed() || !socks.hasPassed()
  return [host, socks, restartTor(worker, isNeeded), verifyCircuit(worker)]
}
