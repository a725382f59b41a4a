import type { Json } from '../lib/json.ts'
import type { Teller } from '../limits/heard-reports.ts'
import { fromJson, type LimitReport, toJson } from '../limits/limit-report.ts'
import type { Presence } from './presence.ts'

/** What replicas call each other's workers: the one that another replica's id means may be called something else here. */
export interface WorkerNames {
  /** What all replicas call the worker that has this id here. */
  shared(id: string): string
  /** The id here of what all replicas call so; the same text when there is no such worker. */
  own(name: string): string
}

/** For replicas that all call their workers the same. */
export const SAME_NAMES: WorkerNames = { shared: (id) => id, own: (name) => name }

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
  readonly names?: WorkerNames
}

/**
 * Tells the other replicas with each beat what this one has on its workers and what has come of its keys, and hears the same of them.
 * Dispose it to be alone.
 */
export function shareLoad({ presence, pool, limits, names = SAME_NAMES }: LoadShareOptions): Disposable {
  const ends = new DisposableStack()
  ends.use(
    presence.report('leases', () => Object.fromEntries([...pool.leases()].map(([id, n]) => [names.shared(id), n]))),
  )
  ends.use(presence.onReport('leases', ({ replica }, payload) => pool.setElsewhere(replica, leasesOf(payload, names))))
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

/** By the ids that the workers have here. What is no count is left out. */
function leasesOf(payload: Json, names: WorkerNames): ReadonlyMap<string, number> {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return new Map()
  return new Map(
    Object.entries(payload).flatMap(([name, count]) =>
      typeof count === 'number' && count > 0 && Number.isFinite(count) ? [[names.own(name), count]] : [],
    ),
  )
}
