import type { LiveWorkerBody } from '../api/bodies.ts'
import type { Tone } from '../ui/badge.tsx'
import type { IconName } from '../ui/icon.tsx'

type HealthState = LiveWorkerBody['state']

/** How a state looks. No two have the same icon, so that the colour is never all there is to tell them by. */
export interface Look {
  readonly tone: Tone
  readonly icon: IconName
  readonly word: string
}

export const STATE_LOOKS: Readonly<Record<HealthState, Look>> = {
  healthy: { tone: 'ok', icon: 'ok', word: 'healthy' },
  suspect: { tone: 'warn', icon: 'warn', word: 'suspect' },
  dead: { tone: 'bad', icon: 'bad', word: 'dead' },
  recovery: { tone: 'info', icon: 'recovery', word: 'recovery' },
  starting: { tone: 'info', icon: 'starting', word: 'starting' },
}

const STOPPED: Look = { tone: 'idle', icon: 'stopped', word: 'stopped' }
const DRAINED: Look = { tone: 'idle', icon: 'drained', word: 'drained' }

/** In the order in which an operator wants to know of them. */
export const GROUPS = ['dead', 'recovery', 'suspect', 'starting', 'healthy', 'drained', 'stopped'] as const
export type Group = (typeof GROUPS)[number]

/** What a worker counts as, in one word: what the operator took out is not ill. */
export function groupOf({ desired, state }: Pick<LiveWorkerBody, 'desired' | 'state'>): Group {
  return desired === 'enabled' ? state : desired
}

export function lookOfGroup(group: Group): Look {
  if (group === 'stopped') return STOPPED
  return group === 'drained' ? DRAINED : STATE_LOOKS[group]
}

export function lookOf(worker: Pick<LiveWorkerBody, 'desired' | 'state'>): Look {
  return lookOfGroup(groupOf(worker))
}

/** How many there are of each group that has some. */
export function countGroups(workers: readonly LiveWorkerBody[]): ReadonlyMap<Group, number> {
  const counts = new Map<Group, number>()
  for (const group of GROUPS) {
    const count = workers.filter((worker) => groupOf(worker) === group).length
    if (count > 0) counts.set(group, count)
  }
  return counts
}

const NEXT: Readonly<Record<string, string>> = {
  probe: 'check',
  recover: 'recovery',
  reboot: 'reboot of its box',
}

/** What a worker's next action is called. */
export function actionWord(type: string): string {
  return NEXT[type] ?? type
}
