import type { HealthState } from '../domain/worker.ts'
import type { RecoveryAttempt, RecoveryResult, StepResult } from './recovery.ts'

export type ProbeResult =
  | { readonly verdict: 'passed' }
  | { readonly verdict: 'failed'; readonly reason: string }
  /** Something failed, but not the worker, as far as one can tell: counts neither way. */
  | {
      readonly verdict: 'unclear'
      readonly reason: string
      /** It failed for other workers, too: a sign that the uplink is at fault. */
      readonly failsForOthers?: boolean
    }

/** What the monitor needs of a worker. */
export interface Monitored {
  /** Looks whether the worker works. A rejection is a failed probe. */
  probe(signal: AbortSignal): Promise<ProbeResult>
  /**
   * Resolves when the worker answers what costs it nothing: its control port a `GETINFO version` and its SOCKS port a
   * greeting, both. Runs beside probes. Left out where there is nothing to ask so often.
   */
  pulse?(signal: AbortSignal): Promise<void>
  /** Whether its process is known to have ended, so that to start it takes nothing away. Left out where that is unknown. */
  isGone?(): boolean
  /** Tries to bring it back, by `attempt.climb()`. A rejection is a failed attempt. */
  recover(attempt: RecoveryAttempt, signal: AbortSignal): Promise<RecoveryResult>
  /** Whether an order to reboot would get there; rejects when it would not. Left out where that is not known before. */
  canReboot?(signal: AbortSignal): Promise<void>
  /**
   * Orders the host to reboot. Left out where there is no host to reboot: then recovery goes on without it. `fence`: as in
   * `RecoveryAttempt`.
   */
  reboot?(signal: AbortSignal, fence?: number): Promise<void>
}

/** Instants are wall-clock milliseconds. */
export type MonitorEvent =
  | { readonly type: 'health-changed'; readonly from: HealthState; readonly to: HealthState; readonly reason: string }
  | ({ readonly type: 'probe-ended'; readonly ms: number } & ProbeResult)
  | { readonly type: 'pulse-failed'; readonly reason: string; readonly inARow: number }
  /** Live requests hang, so that a probe was brought forward. */
  | { readonly type: 'stall-reported'; readonly reason: string }
  /** Another gateway does not find it well, so that a probe was brought forward. */
  | { readonly type: 'doubted-elsewhere'; readonly reason: string }
  | { readonly type: 'recovery-started'; readonly attempt: number }
  | { readonly type: 'recovery-step-ended'; readonly attempt: number; readonly step: StepResult }
  | { readonly type: 'recovery-ended'; readonly attempt: number; readonly ms: number; readonly result: RecoveryResult }
  | { readonly type: 'reboot-ordered' }
  | { readonly type: 'reboot-failed'; readonly reason: string }
  /** What is due may not be done yet. `until` is undefined when that depends on what happens. */
  | {
      readonly type: 'healing-held'
      readonly action: 'recover' | 'reboot'
      readonly reason: string
      readonly until: number | undefined
    }
  /** It has used up its reboots: nothing more is done about it until then, unless it comes back by itself. */
  | { readonly type: 'quarantined'; readonly reason: string; readonly until: number }
  | { readonly type: 'quarantine-ended' }
  /** It went in and out of health too often: it takes traffic only after the healthy ones, until then at least. */
  | { readonly type: 'held-down'; readonly until: number }
