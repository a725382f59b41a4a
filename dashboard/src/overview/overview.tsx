import { useLive } from '../context.ts'
import { ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Figures } from './figures.tsx'
import { LastEvents } from './last-events.tsx'
import { PoolMap } from './pool-map.tsx'
import { PoolState } from './pool-state.tsx'
import { Problems } from './problems.tsx'
import { Traffic } from './traffic.tsx'

/** How the pool is, why, and what it will do next. */
export function Overview() {
  const view = useLive((state) => state.view)
  const link = useLive((state) => state.link)
  if (view === undefined) return link.status === 'refused' ? <ErrorNote error={link.reason} /> : <OverviewToCome />
  return (
    <>
      <PoolState view={view} />
      <Figures view={view} />
      <div class="overview">
        <Traffic series={view.series} />
        <div class="overview-side">
          <Problems problems={view.problems} />
          <PoolMap workers={view.workers} />
        </div>
        <LastEvents />
      </div>
    </>
  )
}

/** As large as what is to come. */
function OverviewToCome() {
  return (
    <>
      <div class="pool-state to-come" />
      <div class="pool-figures to-come" />
      <div class="panel overview-chart-to-come">
        <Skeleton lines={6} />
      </div>
    </>
  )
}
