import type { HealthState } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import type { Chronicle, Failure, LastRecovery } from './chronicle.ts'
import type { Damping } from './damping.ts'
import type { Healing } from './healing.ts'
import { consecutiveFailures, type Health, isProbed } from './machine.ts'
import type { HealthPolicy } from './policy.ts'

/** What the monitor will do next by itself, when (wall-clock milliseconds) and why. */
export interface NextAction {
  readonly type: 'probe' | 'recover' | 'reboot'
  readonly at: number
  readonly reason: string
}

/** How a worker is and how it came to that. Instants are wall-clock milliseconds. */
export interface MonitorView {
  readonly health: HealthState
  readonly since: number
  /** Since when it is healthy, if it was dead before: its traffic is to come back slowly. */
  readonly healthySince: number | undefined
  /** In a row, as the original counts them. */
  readonly failures: number
  readonly lastFailure: Failure | undefined
  readonly lastRecovery: LastRecovery | undefined
  /** Undefined during a recovery attempt, and for a worker that is wished to be stopped. */
  readonly nextAction: NextAction | undefined
  /** It has used up its reboots: nothing is done about it until then. */
  readonly quarantine: { readonly reason: string; readonly until: number } | undefined
  /** It is held down because its health wavered: until then at least, and until it is steady. */
  readonly flapping: { readonly until: number } | undefined
}

export interface ViewSources {
  readonly health: Health
  readonly damping: Damping
  readonly chronicle: Chronicle
  readonly healing: Healing | undefined
  /** Undefined for a worker that is wished to be stopped. Instants here are those of `clock.monotonic()`. */
  readonly nextProbeAt: number | undefined
  readonly policy: HealthPolicy
  readonly clock: Clock
}

export function viewOf(sources: ViewSources): MonitorView {
  const { health, damping, chronicle, healing, policy, clock } = sources
  const { since, healthySince, lastFailure, lastRecovery } = chronicle
  const { hold } = damping
  const held = healing?.held
  return {
    health: health.status,
    since,
    healthySince,
    failures: consecutiveFailures(health, policy),
    lastFailure,
    lastRecovery,
    nextAction: nextAction(sources),
    quarantine: held?.isQuarantine ? { reason: held.reason, until: wallTime(healing?.at ?? 0, clock) } : undefined,
    flapping: hold && { until: wallTime(hold.until, clock) },
  }
}

function nextAction({ health, healing, nextProbeAt, clock }: ViewSources): NextAction | undefined {
  if (healing !== undefined && Number.isFinite(healing.at)) {
    const { type, at, reason, held } = healing
    return { type, at: wallTime(at, clock), reason: held ? `${reason}; held: ${held.reason}` : reason }
  }
  if (nextProbeAt === undefined || !isProbed(health)) return undefined
  const reason = healing?.held ? `${healing.type} is held: ${healing.held.reason}` : 'the regular check'
  return { type: 'probe', at: wallTime(nextProbeAt, clock), reason }
}

/** Of an instant of `clock.monotonic()`. For people, so what is past is now. */
export function wallTime(at: number, clock: Clock): number {
  return clock.now() + Math.max(0, at - clock.monotonic())
}
