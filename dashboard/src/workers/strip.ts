import type { LiveWorkerBody } from '../api/bodies.ts'
import { parseTime } from '../time/clock.ts'
import { roughDuration } from '../ui/text.ts'

export const STRIP_MS = 60 * 60 * 1_000

/** A stretch of time in one state; `from` and `to` go from 0, an hour ago, to 1, now. */
export interface Stretch {
  readonly state: LiveWorkerBody['state']
  readonly from: number
  readonly to: number
  readonly ms: number
}

/** The last hour of a worker, as far as it is known. `now` is the service's time. */
export function stretchesOf(history: LiveWorkerBody['history'], now: number): readonly Stretch[] {
  const start = now - STRIP_MS
  return history.flatMap(({ state, since }, index) => {
    const next = history[index + 1]
    const from = Math.max(start, parseTime(since))
    const to = Math.min(now, next === undefined ? now : parseTime(next.since))
    if (to <= from) return []
    return { state, from: (from - start) / STRIP_MS, to: (to - start) / STRIP_MS, ms: to - from }
  })
}

/** For who cannot see the strip: `healthy 58 min, dead 40 s`. */
export function stripText(stretches: readonly Stretch[]): string {
  const sums = new Map<string, number>()
  for (const { state, ms } of stretches) sums.set(state, (sums.get(state) ?? 0) + ms)
  const parts = [...sums]
    .sort(([, one], [, other]) => other - one)
    .map(([state, ms]) => `${state} ${roughDuration(ms)}`)
  return parts.join(', ') || 'nothing known'
}
