import { isRecord, type Json } from '../lib/json.ts'
import type { Teller } from '../limits/heard-reports.ts'
import { fromJson, type LimitReport, toJson } from '../limits/limit-report.ts'
import type { Presence } from './presence.ts'

export interface LoadShareOptions {
  readonly presence: Pick<Presence, 'members' | 'onChange' | 'report' | 'onReport'>
  /** The pool. */
  readonly pool: {
    leases(): ReadonlyMap<string, number>
    setElsewhere(replica: string, leases: ReadonlyMap<string, number> | undefined): void
  }
  /** What holds keys to their limits. */
  readonly limits: {
    report(): LimitReport
    hear(teller: Teller, report: LimitReport | undefined): void
  }
}

/**
 * Tells the other replicas with each beat what this one has on its workers and what has come of its keys, and hears the same of them.
 * Dispose it to be alone.
 */
export function shareLoad({ presence, pool, limits }: LoadShareOptions): Disposable {
  const ends = new DisposableStack()
  ends.use(presence.report('leases', () => Object.fromEntries(pool.leases())))
  ends.use(presence.onReport('leases', ({ replica }, payload) => pool.setElsewhere(replica, leasesOf(payload))))
  ends.use(presence.report('limits', () => toJson(limits.report())))
  ends.use(
    presence.onReport('limits', ({ replica, run }, payload) => {
      const report = fromJson(payload)
      if (report !== undefined) limits.hear({ replica, run }, report)
    }),
  )
  let known = presence.members()
  ends.use(
    presence.onChange(() => {
      const now = new Set(presence.members().map(({ replica }) => replica))
      for (const { replica, run } of known) {
        if (now.has(replica)) continue
        pool.setElsewhere(replica, undefined)
        limits.hear({ replica, run }, undefined)
      }
      known = presence.members()
    }),
  )
  return ends
}

/** By ids of workers. What is no count is left out. */
function leasesOf(payload: Json): ReadonlyMap<string, number> {
  if (!isRecord(payload)) return new Map()
  return new Map(
    Object.entries(payload).flatMap(([id, count]) =>
      typeof count === 'number' && count > 0 && Number.isFinite(count) ? [[id, count]] : [],
    ),
  )
}
