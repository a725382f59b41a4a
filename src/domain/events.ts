import type { Mode } from './exchange.ts'
import type { DesiredState, Exit, HealthState } from './worker.ts'

/** `error`: mend it or report it; `warn`: a healthy system has none; `info`: a change of state. */
export const SEVERITIES = ['error', 'warn', 'info'] as const
export type Severity = (typeof SEVERITIES)[number]

/** What an operator may have to do something about, for as long as it lasts. */
export const SERVICE_PROBLEMS = [
  'worker_dead',
  'worker_quarantined',
  'worker_flapping',
  'isolation_missing',
  'worker_untrusted',
  'box_ailing',
  'uplink_suspect',
  'no_worker',
  'store_unwritable',
  'store_unreachable',
  'replica_name_taken',
  'clock_skew',
  'tor_version',
  'certificate',
] as const
export type ServiceProblemCode = (typeof SERVICE_PROBLEMS)[number]

/** A problem that is there now. */
export interface ServiceProblem {
  readonly code: ServiceProblemCode
  readonly severity: Severity
  /** A sentence for people. */
  readonly text: string
  /** Undefined when it is not of one worker. */
  readonly worker: string | undefined
  /** Since when, in epoch milliseconds. */
  readonly since: number
}

/**
 * Everything that an operator cares about. Types and fields are shown outside: hence the names, as in the API. None has
 * room for a target, a sticky key or a client's address; texts (`reason`, `error`, `text`) are ours and hold none either.
 */
export type ServiceEvent =
  | { readonly type: 'service_started'; readonly version: string }
  | { readonly type: 'service_stopping'; readonly reason: string }
  | OfWorker<'health_changed', { readonly from: HealthState; readonly to: HealthState; readonly reason: string }>
  | OfWorker<'desired_changed', { readonly from: DesiredState; readonly to: DesiredState }>
  | { readonly type: 'mode_changed'; readonly from: Mode; readonly to: Mode }
  | OfWorker<'recovery_started', { readonly attempt: number }>
  | OfWorker<
      'recovery_step_ended',
      { readonly attempt: number; readonly step: string; readonly skipped?: true } & Ended
    >
  | OfWorker<'recovery_ended', { readonly attempt: number } & Ended>
  | OfWorker<'tor_restarted', { readonly by: 'operator' | 'recovery' }>
  | OfWorker<'reboot_ordered'>
  | OfWorker<'reboot_refused', { readonly reason: string }>
  /** Its box shows another host key than the one that is pinned, or shows the pinned one again. */
  | OfWorker<'worker_untrusted', { readonly reason: string }>
  | OfWorker<'worker_trusted'>
  | OfWorker<'worker_quarantined', { readonly reason: string }>
  | OfWorker<'worker_released', { readonly reason: string }>
  /** Most of the pool failed at once, so the fault is likely none of the workers'. */
  | { readonly type: 'uplink_suspected'; readonly reason: string }
  | { readonly type: 'uplink_cleared'; readonly reason: string }
  | OfWorker<'circuits_renewed', CircuitsRenewed>
  /** Unasked, to another worker or another exit; `worker` is where it is now. */
  | OfWorker<'session_moved'>
  | OfSession<'session_rotated'>
  | OfSession<'session_ended'>
  /** One stream made Tor launch circuit after circuit, and was closed. */
  | OfWorker<'storm_stopped', { readonly circuits: number }>
  | OfWorker<'worker_added'>
  | OfWorker<'worker_removed'>
  /** Names of fields, and ids of workers; no values. */
  | ({ readonly type: 'config_reloaded' } & ConfigChanges)
  | { readonly type: 'config_refused'; readonly reason: string }
  /** Another gateway shares the pool from now on, or does no more. */
  | { readonly type: 'replica_joined'; readonly replica: string; readonly version: string }
  | { readonly type: 'replica_left'; readonly replica: string }
  | ({ readonly type: 'problem_opened'; readonly text: string } & ProblemFields)
  | ({ readonly type: 'problem_closed'; readonly ms: number } & ProblemFields)

export type EventType = ServiceEvent['type']

/** An event as it is kept: `id` is higher than that of every earlier event, also of earlier runs of the service. */
export interface RecordedEvent {
  readonly id: number
  /** Epoch milliseconds. */
  readonly at: number
  readonly severity: Severity
  /** A sentence for people. */
  readonly text: string
  readonly event: ServiceEvent
  /** The gateway that it happened at, if that was not this run of this one. Its ids are its own: `id` is ours. */
  readonly replica?: string
}

/** New circuits for all of a worker's later streams, with the exits of its circuits before and after. */
export interface CircuitsRenewed {
  readonly exitsBefore: readonly Exit[]
  readonly exitsAfter: readonly Exit[]
  /** Whether none of the exits is one from before; undefined when it is not known which they are. */
  readonly exitChanged: boolean | undefined
  /** From the order until Tor had acted. */
  readonly ms: number
}

export function circuitsRenewed(
  exitsBefore: readonly Exit[],
  exitsAfter: readonly Exit[],
  ms: number,
): CircuitsRenewed {
  const earlier = new Set(exitsBefore.map(({ fingerprint }) => fingerprint))
  const isKnown = exitsBefore.length > 0 && exitsAfter.length > 0
  const exitChanged = isKnown ? !exitsAfter.some(({ fingerprint }) => earlier.has(fingerprint)) : undefined
  return { exitsBefore, exitsAfter, exitChanged, ms }
}

export interface ConfigChanges {
  /** Fields that hold as they are written from now on. */
  readonly applied: readonly string[]
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
  /** Fields that hold as they are written from the next start on. */
  readonly needsRestart: readonly string[]
}

/** `worker` is undefined when the session has not been placed yet. */
type OfSession<T extends string> = { readonly type: T; readonly worker?: string | undefined }

type OfWorker<T extends string, Fields = unknown> = { readonly type: T; readonly worker: string } & Fields

interface Ended {
  readonly ok: boolean
  readonly ms: number
  /** Why it failed. */
  readonly error?: string
}

interface ProblemFields {
  readonly code: ServiceProblemCode
  readonly severity: Severity
  readonly worker?: string
}

type SeverityOf<E> = Severity | ((event: E) => Severity)

const SEVERITY: { readonly [T in EventType]: SeverityOf<Extract<ServiceEvent, { readonly type: T }>> } = {
  service_started: 'info',
  service_stopping: 'info',
  health_changed: ({ to }) => (to === 'dead' || to === 'suspect' ? 'warn' : 'info'),
  desired_changed: 'info',
  mode_changed: 'info',
  recovery_started: 'info',
  recovery_step_ended: warnUnlessOk,
  recovery_ended: warnUnlessOk,
  tor_restarted: 'info',
  reboot_ordered: 'warn',
  reboot_refused: 'warn',
  worker_untrusted: 'error',
  worker_trusted: 'info',
  worker_quarantined: 'error',
  worker_released: 'info',
  uplink_suspected: 'error',
  uplink_cleared: 'info',
  circuits_renewed: 'info',
  session_moved: 'info',
  session_rotated: 'info',
  session_ended: 'info',
  storm_stopped: 'warn',
  worker_added: 'info',
  worker_removed: 'info',
  config_reloaded: 'info',
  config_refused: 'error',
  replica_joined: 'info',
  replica_left: 'warn',
  problem_opened: ({ severity }) => severity,
  problem_closed: 'info',
}

export const EVENT_TYPES = Object.keys(SEVERITY) as readonly EventType[]

export function severityOf(event: ServiceEvent): Severity {
  const severity = SEVERITY[event.type] as SeverityOf<ServiceEvent>
  return typeof severity === 'string' ? severity : severity(event)
}

/** The worker that the event is about, if it is about one. */
export function workerOf(event: ServiceEvent): string | undefined {
  return 'worker' in event ? event.worker : undefined
}

function warnUnlessOk({ ok }: Ended): Severity {
  return ok ? 'info' : 'warn'
}
