import type { LiveWorkerBody } from '../api/bodies.ts'
import type { LiveView } from '../live/live-state.ts'
import type { Tone } from '../ui/badge.tsx'
import { counted, percent } from '../ui/text.ts'
import { countGroups, type Group, groupOf } from '../workers/look.ts'

/** How the pool is, as somebody would say it. */
export interface PoolSentence {
  readonly tone: Tone
  readonly headline: string
  /** What the headline has no room for: `1 is drained.` Empty when there is nothing to add. */
  readonly aside: string
  /** The workers that are not as they should be, the worst first, and no more than people take in. */
  readonly ill: readonly LiveWorkerBody[]
  /** How many more there are. */
  readonly moreIll: number
}

/** The page keeps room for so many lines, so that nothing moves when a worker falls ill. */
const SHOWN_LINES = 2
/** Below it something is wrong, whatever the workers say of themselves. */
export const POOR_RATIO = 0.9
/** The worst first. */
const ILL: readonly Group[] = ['dead', 'recovery', 'suspect', 'starting']

export function poolSentence({ pool, workers }: Pick<LiveView, 'pool' | 'workers'>): PoolSentence {
  const counts = countGroups(workers)
  const ill = ILL.flatMap((group) => workers.filter((worker) => groupOf(worker) === group))
  // The last line says how many more there are, when there are.
  const shown = ill.length > SHOWN_LINES ? SHOWN_LINES - 1 : ill.length
  const enabled = workers.length - (counts.get('drained') ?? 0) - (counts.get('stopped') ?? 0)
  const healthy = counts.get('healthy') ?? 0
  const headline = headlineOf(pool.state, {
    total: workers.length,
    enabled,
    healthy,
    starting: counts.get('starting') ?? 0,
  })
  const isFailing = pool.state !== 'down' && pool.success_ratio !== null && pool.success_ratio < POOR_RATIO
  return {
    ...headline,
    tone: isFailing && headline.tone === 'ok' ? 'warn' : headline.tone,
    aside: [isFailing ? failText(pool.success_ratio) : '', asideOf(counts)].filter(Boolean).join(' '),
    ill: ill.slice(0, shown),
    moreIll: ill.length - shown,
  }
}

interface Counts {
  readonly total: number
  readonly enabled: number
  readonly healthy: number
  readonly starting: number
}

function headlineOf(
  state: LiveView['pool']['state'],
  { total, enabled, healthy, starting }: Counts,
): Pick<PoolSentence, 'tone' | 'headline'> {
  if (total === 0) return { tone: 'bad', headline: 'There are no workers: every request fails.' }
  if (enabled === 0) return { tone: 'bad', headline: 'Every worker is taken out of the pool: requests fail.' }
  if (state === 'down' && starting === enabled) return { tone: 'info', headline: startText(enabled) }
  if (state === 'down') return { tone: 'bad', headline: 'No worker takes traffic: requests fail until one does.' }
  if (healthy === enabled) {
    return { tone: 'ok', headline: enabled === 1 ? 'The worker is healthy.' : `All ${enabled} workers are healthy.` }
  }
  return {
    tone: 'warn',
    headline: `${healthy} of ${counted(enabled, 'worker')} ${healthy === 1 ? 'is' : 'are'} healthy.`,
  }
}

function failText(ratio: number | null): string {
  return `But only ${percent(ratio)} of requests succeeded in the last minute.`
}

function startText(count: number): string {
  return count === 1 ? 'The worker is starting.' : `All ${count} workers are starting.`
}

function asideOf(counts: ReadonlyMap<Group, number>): string {
  const parts = (['drained', 'stopped'] as const).flatMap((group) => {
    const count = counts.get(group) ?? 0
    return count === 0 ? [] : [`${count} ${count === 1 ? 'is' : 'are'} ${group}`]
  })
  return parts.length === 0 ? '' : `${parts.join(', ')}.`
}
