import type { RecoveryAttempt, RecoveryStep } from '../recovery.ts'
import { diagnosis } from './diagnosis.ts'
import { hostReachable } from './host-reachable.ts'
import type { LadderWorker } from './ladder-worker.ts'
import { nodeStatus } from './node-status.ts'
import { reconnectTunnel } from './reconnect-tunnel.ts'
import { restartTor } from './restart-tor.ts'
import { socksAnswers } from './socks-answers.ts'
import { VERIFY_CIRCUIT, verifyCircuit } from './verify-circuit.ts'

/** Of a greeting on the box itself. */
const SOCKS_LIMIT_MS = 3_000

/**
 * The way back of a worker on a box, as in the original: a box that cannot be reached ends it, for then nothing can be done. Its
 * SOCKS port is asked on the box itself, so that a tunnel that is down costs no restart, whatever hung because of it. A Tor that answers is restarted when the attempt
 * before found everything else in order, and no circuit that works.
 */
export function boxLadder(worker: LadderWorker, attempt: Pick<RecoveryAttempt, 'failedAt'>): readonly RecoveryStep[] {
  const socks = diagnosis(socksAnswers(worker, SOCKS_LIMIT_MS))
  const isNeeded = () => !socks.hasPassed() || attempt.failedAt === VERIFY_CIRCUIT
  const node = diagnosis(nodeStatus(worker))
  return [
    hostReachable(worker),
    node,
    socks,
    restartTor(worker, isNeeded),
    reconnectTunnel(worker),
    verifyCircuit(worker),
  ]
}
