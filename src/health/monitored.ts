import type { HealthState } from '../domain/worker.ts'
import type { RecoveryResult } from './recovery.ts'

export type ProbeResult =
  | { readonly verdict: 'passed' }
  | { readonly verdict: 'failed'; readonly reason: string }
  /** Something failed, but not the worker, as far as one can tell: counts neither way. */
  | { readonly verdict: 'unclear'; readonly reason: string }

/** What the monitor needs of a worker. */
export interface Monitored {
  /** Looks whether the worker works. A rejection is a failed probe. */
  probe(signal: AbortSignal): Promise<ProbeResult>
  /** Tries to bring it back; `attempt` counts from 1. A rejection is a failed attempt. */
  recover(attempt: number, signal: AbortSignal): Promise<RecoveryResult>
  /** Orders the host to reboot. Left out where there is no host to reboot: then recovery goes on without it. */
  reboot?(signal: AbortSignal): Promise<void>
}

export type MonitorEvent =
  | { readonly type: 'health-changed'; readonly from: HealthState; readonly to: HealthState; readonly reason: string }
  | ({ readonly type: 'probe-ended'; readonly ms: number } & ProbeResult)
  | { readonly type: 'recovery-started'; readonly attempt: number }
  | { readonly type: 'recovery-ended'; readonly attempt: number; readonly ms: number; readonly result: RecoveryResult }
  | { readonly type: 'reboot-ordered' }
  | { readonly type: 'reboot-failed'; readonly reason: string }
