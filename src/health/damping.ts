import { type Health, type HealthEvent, SUSPECT } from './machine.ts'
import type { HealthPolicy } from './policy.ts'

/**
 * The memory that keeps a worker whose health wavers from wavering in and out of traffic. Pure, like `machine.ts`, whose
 * decisions it corrects in one point: a worker that flaps is held down, as suspect, until it has been well for long enough.
 */
export interface Damping {
  /** When it fell from healthy, as far as that lies within the window. */
  readonly falls: readonly number[]
  /** How often it has been held down, of late. */
  readonly holds: number
  /** `passes`: probes passed in a row. */
  readonly hold: { readonly until: number; readonly passes: number } | undefined
  /** When it was last let go. */
  readonly releasedAt: number
}

export const UNDAMPED: Damping = { falls: [], holds: 0, hold: undefined, releasedAt: Number.NEGATIVE_INFINITY }

/**
 * What counts as a fall are judgements, which may waver. That a process exited or hangs is a fact: the recovery that
 * follows proves that it works again, and the budget of the pool slows one that crashes over and over.
 */
const JUDGEMENTS: ReadonlySet<HealthEvent> = new Set(['probe-failed', 'outcomes-failed'])
/** Live successes come by the dozen and from before the fall, so they are not counted. */
const PROOFS: ReadonlySet<HealthEvent> = new Set(['probe-passed', 'recovery-passed'])
/** The operator knows better. */
const ORDERS: ReadonlySet<HealthEvent> = new Set(['enabled', 'reset'])

/** Corrects the step from `before` to `after` that `event` brought about. */
export function dampen(
  damping: Damping,
  { before, event, after }: { readonly before: Health; readonly event: HealthEvent; readonly after: Health },
  now: number,
  policy: HealthPolicy,
): { readonly damping: Damping; readonly health: Health } {
  if (ORDERS.has(event)) return { damping: UNDAMPED, health: after }
  const { hold } = damping
  if (hold === undefined) {
    const isFall = before.status === 'healthy' && after.status !== 'healthy' && JUDGEMENTS.has(event)
    return { damping: isFall ? fallen(damping, now, policy) : damping, health: after }
  }
  if (event === 'probe-failed' || event === 'lost')
    return { damping: { ...damping, hold: { ...hold, passes: 0 } }, health: after }
  if (after.status !== 'healthy') return { damping, health: after }

  const passes = hold.passes + (PROOFS.has(event) ? 1 : 0)
  if (now >= hold.until && passes >= policy.flapRise) {
    return { damping: { ...damping, hold: undefined, releasedAt: now }, health: after }
  }
  const isUnchanged = before.status === 'suspect' && before.fails === 0
  return { damping: { ...damping, hold: { ...hold, passes } }, health: isUnchanged ? before : SUSPECT }
}

function fallen(damping: Damping, now: number, policy: HealthPolicy): Damping {
  const { flapWindowMs, flapFalls, flapHoldMs, flapHoldMaxMs } = policy
  const falls = [...damping.falls.filter((at) => now - at < flapWindowMs), now]
  // One window without a fall or a hold-down, and all is forgotten.
  const holds = falls.length === 1 && now - damping.releasedAt >= flapWindowMs ? 0 : damping.holds
  if (falls.length < flapFalls) return { ...damping, falls, holds }
  const until = now + Math.min(flapHoldMs * 2 ** holds, flapHoldMaxMs)
  return { falls: [], holds: holds + 1, hold: { until, passes: 0 }, releasedAt: now }
}
