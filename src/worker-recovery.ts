import { boxLadder } from './health/ladder/box-ladder.ts'
import type { LadderWorker } from './health/ladder/ladder-worker.ts'
import { localLadder } from './health/ladder/local-ladder.ts'
import type { ProbeResult } from './health/monitored.ts'
import type { RecoveryAttempt, RecoveryResult } from './health/recovery.ts'
import type { WorkerDriver, WorkerHost } from './workers/driver.ts'

/** The attempt from which on a tunnel is made anew although bytes come back through it. */
const FORCED_FROM = 3

/** Climbs the ladder for the worker's kind. `probe` says whether a circuit carries. */
export function recoverWorker(
  driver: WorkerDriver,
  probe: (signal: AbortSignal) => Promise<ProbeResult>,
  attempt: RecoveryAttempt,
  signal: AbortSignal,
): Promise<RecoveryResult> {
  const verifyCircuit = async (limit: AbortSignal) => {
    const result = await probe(limit)
    if (result.verdict === 'failed') throw new Error(result.reason)
  }
  const { host } = driver
  if (host === undefined)
    return attempt.climb(localLadder({ ...ofProcess(driver, attempt), verifyCircuit }, attempt), signal)
  return attempt.climb(boxLadder({ ...onHost(driver, host, attempt), verifyCircuit }, attempt), signal)
}

function ofProcess(driver: WorkerDriver, { isHung }: RecoveryAttempt): Omit<LadderWorker, 'verifyCircuit'> {
  return {
    async restartTor(limit) {
      // A Tor that hangs would not hear a polite request to end; its guards are on disk already.
      await driver.stop(isHung ? AbortSignal.abort() : limit)
      await comeUp(driver, limit)
    },
    async reachHost() {
      const { process } = driver.observe()
      if (process !== 'running') throw new Error(`its process is ${process}`)
    },
    greetSocks: (limit) => driver.pulse(limit),
  }
}

function onHost(
  driver: WorkerDriver,
  host: WorkerHost,
  { isHung, number, fence }: RecoveryAttempt,
): Omit<LadderWorker, 'verifyCircuit'> {
  let isMending = false
  return {
    reachHost: (limit) => host.reach(limit),
    async readNode(limit) {
      isMending = (await host.nodeStatus(limit))?.isMending ?? false
    },
    greetSocks: (limit) => host.greetSocks(limit),
    restartTor: (limit) => (isMending ? host.awaitTor(limit) : host.restartTor({ isForced: isHung, fence }, limit)),
    async reconnectTunnel(limit) {
      await host.reconnectTunnel({ isForced: number >= FORCED_FROM, fence }, limit)
      await comeUp(driver, limit)
    },
  }
}

async function comeUp(driver: WorkerDriver, limit: AbortSignal): Promise<void> {
  await driver.start(limit)
  await driver.warmUp(limit).catch(() => {})
}
