import type { HealingRequest, Permit } from './governor.ts'
import { type Health, upcoming } from './machine.ts'
import type { HealthPolicy } from './policy.ts'

/** What is to be done next about a worker that is down. Instants are those of `clock.monotonic()`. */
export interface Healing {
  readonly type: 'recover' | 'reboot'
  /** Infinite when it is held for nobody knows how long. */
  readonly at: number
  readonly reason: string
  /** Why the governor does not let it happen when it is due. */
  readonly held: { readonly reason: string; readonly isQuarantine: boolean; readonly isElsewhere: boolean } | undefined
}

/** Joins what the machine wants done with what the governor permits. */
export function planHealing(
  health: Health,
  policy: HealthPolicy,
  facts: { readonly isGone: boolean; readonly hungSince: number | undefined },
  ask: (request: Omit<HealingRequest, 'worker'>) => Permit,
): Healing | undefined {
  const next = upcoming(health, policy)
  if (next === undefined) return undefined
  const { isGone, hungSince } = facts
  const action = next.type === 'reboot' ? { type: next.type } : { type: next.type, attempt: next.attempt, hungSince }
  const permit = ask({ action, isGone })
  const held =
    permit.at > next.at && permit.reason !== undefined
      ? {
          reason: permit.reason,
          isQuarantine: permit.isQuarantine === true,
          isElsewhere: permit.isElsewhere === true,
        }
      : undefined
  return { type: next.type, at: Math.max(next.at, permit.at), reason: next.reason, held }
}
