import type { RecoveryAttempt, RecoveryStep } from '../recovery.ts'
import { diagnosis } from './diagnosis.ts'
import { hostReachable } from './host-reachable.ts'
import type { LadderWorker } from './ladder-worker.ts'
import { reconnectTunnel } from './reconnect-tunnel.ts'
import { restartTor } from './restart-tor.ts'
import { socksAnswers } from './socks-answers.ts'
import { verifyCircuit } from './verify-circuit.ts'

/** Of a greeting through the tunnel. */
const SOCKS_LIMIT_MS = 3_000

/** The way back of a worker on a box, as in the original: a box that cannot be reached ends it, for then nothing can be done. */
export function boxLadder(
  worker: LadderWorker,
  attempt: Pick<RecoveryAttempt, 'number' | 'isHung'>,
): readonly RecoveryStep[] {
  const socks = diagnosis(socksAnswers(worker, SOCKS_LIMIT_MS))
  const isNeeded = () => attempt.number > 1 || attempt.isHung || !socks.hasPassed()
  return [hostReachable(worker), socks, restartTor(worker, isNeeded), reconnectTunnel(worker), verifyCircuit(worker)]
}
