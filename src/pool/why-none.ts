import type { DesiredState, HealthState, WorkerName } from '../domain/worker.ts'
import { takesTraffic } from './choose.ts'

/** Ids of workers. */
export type Ids = Pick<ReadonlySet<string>, 'has' | 'size'>

interface Member {
  readonly name: WorkerName
  readonly desired: DesiredState
  readonly health: HealthState
  /** Whether it has as many leases as it may. */
  readonly isFull: boolean
}

/** Of a member that could take the request if it had less to do. */
export const FULL = 'at the limit'

/** Of a member that could take the request if it had less to do with its target. */
export const BUSY = 'as busy with the target as politeness allows'

/** Why no member can take a request, in words that end a sentence: "all 4 are dead", "of 4 workers 3 are dead, 1 is drained". */
export function whyNone(members: readonly Member[], tried: Ids, busy: Ids): string {
  const counts = new Map<string, number>()
  for (const why of members.flatMap((member) => whyNot(member, tried, busy) ?? []))
    counts.set(why, (counts.get(why) ?? 0) + 1)

  const [first, ...others] = [...counts].map(([why, count]) => ({
    why,
    text: `${count} ${count === 1 ? 'is' : 'are'} ${why}`,
  }))
  if (first === undefined) return 'none is configured'
  if (others.length > 0) return `of ${members.length} workers ${[first, ...others].map(({ text }) => text).join(', ')}`
  return members.length === 1 ? `the only worker is ${first.why}` : `all ${first.text}`
}

/** Why this member cannot take a request, of whose target those that are `busy` have as much as they may; undefined when it can. What the operator wished is named before what is observed. */
export function whyNot({ name, desired, health, isFull }: Member, tried: Ids, busy: Ids): string | undefined {
  if (desired !== 'enabled') return desired
  if (!takesTraffic(health)) return health === 'recovery' ? 'in recovery' : health
  if (tried.size > 0 && tried.has(name.id)) return 'tried already'
  if (busy.size > 0 && busy.has(name.id)) return BUSY
  return isFull ? FULL : undefined
}
