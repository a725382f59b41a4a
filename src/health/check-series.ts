import type { CheckOutcome } from './check-statistics.ts'

/** What became of the checks of some seconds. */
export interface CheckPoint {
  /** When its time began, in epoch milliseconds. */
  readonly at: number
  readonly checks: number
  readonly failures: number
  /** Of those that passed; undefined when none did. */
  readonly meanMs: number | undefined
}

const POINT_MS = 30_000
/** Half an hour. */
const POINTS = 60

/** The checks of the last half hour, in points of 30 s; there is none where nothing was checked. Its memory does not grow. */
export class CheckSeries {
  #points: { at: number; checks: number; failures: number; sumMs: number }[] = []

  add(outcome: CheckOutcome, now: number): void {
    const at = Math.floor(now / POINT_MS) * POINT_MS
    let point = this.#points.at(-1)
    if (point?.at !== at) {
      point = { at, checks: 0, failures: 0, sumMs: 0 }
      this.#points = [...this.#points, point].slice(-POINTS)
    }
    point.checks += 1
    if (outcome.ok) point.sumMs += outcome.latencyMs
    else point.failures += 1
  }

  points(now: number): readonly CheckPoint[] {
    return this.#points
      .filter(({ at }) => at > now - POINTS * POINT_MS)
      .map(({ at, checks, failures, sumMs }) => {
        const passed = checks - failures
        return { at, checks, failures, meanMs: passed === 0 ? undefined : sumMs / passed }
      })
  }
}
