import type { ProbeResult } from './monitored.ts'
import type { Ward } from './pool-governor.ts'

/**
 * Tells the governor how a probe ended, and holds against the worker only what has no common cause. `isNews`: nothing was
 * known to be wrong with it.
 */
export function judge(result: ProbeResult, isNews: boolean, ward: Ward): ProbeResult {
  if (result.verdict === 'passed') {
    ward.tell({ type: 'passed' })
    return result
  }
  const isFailure = result.verdict === 'failed' || result.failsForOthers === true
  if (isFailure && isNews) ward.tell({ type: 'failed' })
  if (result.verdict === 'unclear' || !ward.isUplinkSuspect) return result
  return { verdict: 'unclear', reason: `as in most of the pool: ${result.reason}`, failsForOthers: true }
}
