import type { DesiredState } from '../domain/worker.ts'
import type { HealthPolicy } from './policy.ts'

/**
 * How healthy a worker is. What to do about it is decided below, by `step()`: pure, so time comes in as `now` and effects
 * go out as an action, which `monitor.ts` carries out. Instants are milliseconds of a clock that never goes back.
 */
export type Health =
  | { readonly status: 'starting'; readonly progressedAt: number }
  | { readonly status: 'healthy'; readonly fails: number }
  /** `fails` counts anew, from the moment of suspicion. */
  | { readonly status: 'suspect'; readonly fails: number }
  | { readonly status: 'dead'; readonly since: number }
  | { readonly status: 'recovery'; readonly phase: 'attempting'; readonly attempt: number }
  | { readonly status: 'recovery'; readonly phase: 'waiting'; readonly failed: number; readonly until: number }
  | { readonly status: 'recovery'; readonly phase: 'rebooting'; readonly until: number }

export const HEALTH_EVENTS = [
  'probe-passed',
  'probe-failed',
  /** A live request succeeded. */
  'outcome-passed',
  /** Live requests fail by the worker's own fault, and so many that it is no chance: see `outcome-ledger.ts`. */
  'outcomes-failed',
  /** It did not answer a simple question in time. */
  'pulse-failed',
  /** A definitive fact: its process exited, its ports are closed. Waits for no threshold. */
  'lost',
  /** The bootstrap of a starting worker moved on. */
  'progressed',
  /** The time that `upcoming()` named has come. */
  'due',
  'recovery-passed',
  'recovery-failed',
  /** The reboot that was due could not be ordered, so the host goes on as it was. */
  'reboot-refused',
  /** The operator says that it is well. */
  'enabled',
  /** The operator started, stopped or restarted Tor: nothing that was seen before holds any more. */
  'reset',
] as const
export type HealthEvent = (typeof HEALTH_EVENTS)[number]

export type HealthAction =
  /** Look at once: something is said to be wrong that alone never makes a worker dead. */
  { readonly type: 'probe' } | { readonly type: 'recover'; readonly attempt: number } | { readonly type: 'reboot' }

export interface Transition {
  /** The same object when nothing changed. */
  readonly health: Health
  readonly action?: HealthAction
}

const HEALTHY: Health = { status: 'healthy', fails: 0 }
/**
 * Live requests and pulses lead here and no further. Requests fail by the dozen when one thing breaks, so they say quickly
 * that something is wrong, but a restart needs a second, independent proof.
 */
export const SUSPECT: Health = { status: 'suspect', fails: 0 }

/**
 * The operator's wish and the observed health are two axes, and this is the only place where they meet: a worker that
 * is wished to be stopped is not ill, so whatever is seen of it changes nothing and nothing is done about it.
 */
export function stepUnlessStopped(
  desired: DesiredState,
  health: Health,
  event: HealthEvent,
  now: number,
  policy: HealthPolicy,
): Transition {
  return desired === 'stopped' && event !== 'reset' ? { health } : step(health, event, now, policy)
}

export function step(health: Health, event: HealthEvent, now: number, policy: HealthPolicy): Transition {
  switch (event) {
    case 'probe-passed':
      return isOutOfReach(health) ? { health } : { health: healed(health) }
    case 'probe-failed':
      return probeFailed(health, now, policy)
    case 'outcome-passed':
      // Elsewhere it is a straggler: its answer was on the way before the worker went down or was restarted.
      return isUp(health) ? { health: healed(health) } : { health }
    case 'outcomes-failed':
    case 'pulse-failed':
      return health.status === 'healthy' ? { health: SUSPECT, action: { type: 'probe' } } : { health }
    case 'lost':
      return health.status === 'dead' || health.status === 'recovery' ? { health } : { health: dead(now) }
    case 'progressed':
      return health.status === 'starting' ? { health: starting(now) } : { health }
    case 'due':
      return due(health, now, policy)
    case 'recovery-passed':
      return isAttempting(health) ? { health: HEALTHY } : { health }
    case 'recovery-failed':
      return isAttempting(health) ? { health: waiting(health.attempt, now, policy) } : { health }
    case 'reboot-refused':
      return isRebooting(health) ? { health: waitingAnew(now, policy) } : { health }
    case 'enabled':
      return { health: healed(health) }
    case 'reset':
      return { health: starting(now) }
  }
}

/** The health of a worker of which nothing is known yet. */
export function starting(now: number): Health {
  return { status: 'starting', progressedAt: now }
}

export type Upcoming = { readonly at: number; readonly reason: string } & (
  | { readonly type: 'recover'; readonly attempt: number }
  | { readonly type: 'reboot' }
)

/** What will be done by itself, and when; at that time the event `due` is expected. */
export function upcoming(health: Health, policy: HealthPolicy): Upcoming | undefined {
  // The count of attempts begins anew after a death and after a reboot.
  if (health.status === 'dead') return { type: 'recover', attempt: 1, at: health.since, reason: 'the worker is dead' }
  if (health.status !== 'recovery' || health.phase === 'attempting') return undefined
  if (health.phase === 'rebooting') {
    return { type: 'recover', attempt: 1, at: health.until, reason: 'its host was rebooted' }
  }
  const { failed, until: at } = health
  const reason = failed === 0 ? 'its host could not be told to reboot' : `recovery attempt ${failed} failed`
  const { rebootAfterAttempts: limit } = policy
  return limit !== null && failed >= limit
    ? { type: 'reboot', at, reason }
    : { type: 'recover', attempt: failed + 1, at, reason }
}

/** Whether probes say anything: not while recovery has its hands on the worker, nor while its host reboots. */
export function isProbed(health: Health): boolean {
  return !isOutOfReach(health)
}

export function isFaultless(health: Health): boolean {
  return health.status === 'healthy' && health.fails === 0
}

/** Whether it ought to answer: while it starts or is being restarted, it need not. */
export function isUp(health: Health): boolean {
  return health.status === 'healthy' || health.status === 'suspect'
}

/** Whether it was given up and recovery waits: what it needs may come back without us. */
export function isDown(health: Health): boolean {
  return health.status === 'dead' || (health.status === 'recovery' && health.phase === 'waiting')
}

/** Whether a failed probe says that something broke; a worker that is just starting, or down, fails as expected. */
export function isNews(health: Health, now: number, policy: HealthPolicy): boolean {
  // Half of the time after which it is dead: were the cause common, all show it before the first is restarted.
  if (health.status === 'starting') return now - health.progressedAt >= policy.startStallMs / 2
  return isUp(health)
}

/** Failures in a row, as the original counts them: from the first on, suspicion included. */
export function consecutiveFailures(health: Health, { failsToSuspect, failsToDead }: HealthPolicy): number {
  if (health.status === 'healthy') return health.fails
  if (health.status === 'suspect') return failsToSuspect + health.fails
  return health.status === 'starting' ? 0 : failsToSuspect + failsToDead
}

function probeFailed(health: Health, now: number, policy: HealthPolicy): Transition {
  switch (health.status) {
    case 'starting':
      return { health: now - health.progressedAt < policy.startStallMs ? health : dead(now) }
    case 'healthy':
      return { health: failedOnce(health.fails, policy) }
    case 'suspect': {
      const fails = health.fails + 1
      return { health: fails < policy.failsToDead ? { status: 'suspect', fails } : dead(now) }
    }
    case 'dead':
    case 'recovery':
      return { health }
  }
}

function failedOnce(before: number, policy: HealthPolicy): Health {
  const fails = before + 1
  return fails < policy.failsToSuspect ? { status: 'healthy', fails } : SUSPECT
}

/** Takes the next step of recovery once its time has come. */
function due(health: Health, now: number, policy: HealthPolicy): Transition {
  const next = upcoming(health, policy)
  if (next === undefined || now < next.at) return { health }
  if (next.type === 'reboot') {
    return {
      health: { status: 'recovery', phase: 'rebooting', until: now + policy.rebootWaitMs },
      action: { type: 'reboot' },
    }
  }
  const { attempt } = next
  return { health: { status: 'recovery', phase: 'attempting', attempt }, action: { type: 'recover', attempt } }
}

/**
 * Every failed attempt is followed by its wait, the sixth by the longest, and only then comes the reboot: the harshest
 * step leaves the worker a last chance to come back by itself.
 */
function waiting(failed: number, now: number, policy: HealthPolicy): Health {
  const { backoffMs } = policy
  const wait = backoffMs[Math.min(failed, backoffMs.length) - 1] ?? backoffMs[0]
  return { status: 'recovery', phase: 'waiting', failed, until: now + wait }
}

/** No reboot is to be had, so recovery begins anew, after its longest wait. */
function waitingAnew(now: number, { backoffMs }: HealthPolicy): Health {
  return { status: 'recovery', phase: 'waiting', failed: 0, until: now + (backoffMs.at(-1) ?? backoffMs[0]) }
}

function isRebooting(health: Health): boolean {
  return health.status === 'recovery' && health.phase === 'rebooting'
}

function healed(health: Health): Health {
  return isFaultless(health) ? health : HEALTHY
}

function dead(now: number): Health {
  return { status: 'dead', since: now }
}

function isAttempting(health: Health): health is Extract<Health, { phase: 'attempting' }> {
  return health.status === 'recovery' && health.phase === 'attempting'
}

/** While an attempt restarts Tor, or the host is about to go down, a probe may still pass against what is going away. */
function isOutOfReach(health: Health): boolean {
  return health.status === 'recovery' && health.phase !== 'waiting'
}
