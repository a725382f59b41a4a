import type { ConfigChanges, ServiceEvent } from '../domain/events.ts'
import type { Exit } from '../domain/worker.ts'

/** Texts quote what Tor and the system say; longer ones tell nobody more. */
export const MAX_TEXT = 400

/** The event as a sentence for people, without a full stop. */
export function eventText(event: ServiceEvent): string {
  switch (event.type) {
    case 'service_started':
      return `The service started, version ${event.version}`
    case 'service_stopping':
      return `The service is stopping: ${event.reason}`
    case 'health_changed':
      return `${event.worker} went from ${event.from} to ${event.to}: ${event.reason}`
    case 'desired_changed':
      return `${event.worker} is to be ${event.to} from now on; it was ${event.from}`
    case 'mode_changed':
      return `The mode is ${event.to} from now on; it was ${event.from}`
    case 'recovery_started':
      return `Recovery of ${event.worker} began, attempt ${event.attempt}`
    case 'recovery_step_ended':
      return `Recovery of ${event.worker}, attempt ${event.attempt}: step ${event.step} ${event.skipped ? 'was skipped' : outcome(event)}`
    case 'recovery_ended':
      return `Recovery of ${event.worker}, attempt ${event.attempt}, ${outcome(event)}`
    case 'tor_restarted':
      return `The Tor of ${event.worker} was restarted by ${event.by === 'operator' ? 'the operator' : 'recovery'}`
    case 'reboot_ordered':
      return `The box of ${event.worker} was rebooted`
    case 'reboot_refused':
      return `The box of ${event.worker} was not rebooted: ${event.reason}`
    case 'worker_untrusted':
      return `Nothing is sent to the box of ${event.worker} any more: ${event.reason}`
    case 'worker_trusted':
      return `The box of ${event.worker} shows its pinned host key again`
    case 'worker_quarantined':
      return `${event.worker} is in quarantine: ${event.reason}`
    case 'worker_released':
      return `${event.worker} is out of quarantine: ${event.reason}`
    case 'uplink_suspected':
      return `The uplink is suspected, so no worker is restarted: ${event.reason}`
    case 'uplink_cleared':
      return `The uplink is no longer suspected: ${event.reason}`
    case 'circuits_renewed':
      return `${event.worker} has new circuits, ${exitsText(event)}`
    case 'session_moved':
      return `A session had to move: it is on ${event.worker} now`
    case 'session_rotated':
      return `A session${onWorker(event)} got a new identity`
    case 'session_ended':
      return `A session${onWorker(event)} was ended`
    case 'storm_stopped':
      return `A stream on ${event.worker} was closed: Tor launched ${event.circuits} circuits for it within a second`
    case 'worker_added':
      return `${event.worker} was added to the pool`
    case 'worker_removed':
      return `${event.worker} was removed from the pool`
    case 'config_reloaded':
      return `The configuration was read anew: ${changesText(event)}`
    case 'config_refused':
      return `The configuration was read anew and refused, so nothing has changed: ${event.reason}`
    case 'replica_joined':
      return `The gateway ${event.replica}, version ${event.version}, shares the pool from now on`
    case 'replica_left':
      return `The gateway ${event.replica} is gone: what it healed is healed by others`
    case 'problem_opened':
      return event.text
    case 'problem_closed':
      return `${event.code}${event.worker === undefined ? '' : ` of ${event.worker}`} is over after ${seconds(event.ms)}`
  }
}

function changesText({ applied, added, removed, changed, needsRestart }: ConfigChanges): string {
  const parts = [
    ['changed', applied],
    ['workers that come', added],
    ['workers that go', removed],
    ['workers that are made anew', changed],
    ['only after a restart', needsRestart],
  ] as const
  const told = parts.flatMap(([what, names]) => (names.length === 0 ? [] : [`${what}: ${names.join(', ')}`]))
  return told.join('; ') || 'nothing has changed'
}

function onWorker({ worker }: { readonly worker?: string | undefined }): string {
  return worker === undefined ? '' : ` on ${worker}`
}

function outcome({ ok, ms, error }: { readonly ok: boolean; readonly ms: number; readonly error?: string }): string {
  return ok ? `passed after ${seconds(ms)}` : `failed after ${seconds(ms)}: ${error ?? 'no reason known'}`
}

function exitsText(event: Extract<ServiceEvent, { readonly type: 'circuits_renewed' }>): string {
  const names = (exits: readonly Exit[]) => exits.map(({ nickname }) => nickname).join(', ') || 'none known'
  const before = names(event.exitsBefore)
  if (event.exitChanged === undefined) return `not known whether by other exits (before: ${before})`
  return `by ${event.exitChanged ? 'other exits' : 'an exit from before'} (before: ${before}; after: ${names(event.exitsAfter)})`
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
