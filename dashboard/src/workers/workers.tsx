import { useMemo, useState } from 'preact/hooks'
import { useLive, useReasonAgainst } from '../context.ts'
import { Icon } from '../ui/icon.tsx'
import { EmptyState, ErrorNote, Skeleton } from '../ui/notes.tsx'
import { counted } from '../ui/text.ts'
import { ModeSelect } from './mode-select.tsx'
import { WorkerCard } from './worker-card.tsx'
import { WorkerDrawer } from './worker-drawer.tsx'
import { WorkerFilter } from './worker-filter.tsx'
import { type Choice, chosenWorkers } from './worker-list.ts'
import { WorkerTile } from './worker-tile.tsx'

/** With more, each worker is a tile, and its card is in the drawer. */
const MAX_CARDS = 12

const EVERYTHING: Choice = { group: 'all', search: '', sort: 'number' }

/** All workers: cards of few, tiles of many. */
export function Workers({ rest }: { readonly rest: readonly string[] }) {
  const workers = useLive((state) => state.view?.workers)
  const [choice, setChoice] = useState(EVERYTHING)
  const reason = useReasonAgainst('workers:write')
  const chosen = useMemo(() => chosenWorkers(workers ?? [], choice), [workers, choice])
  const refusal = useLive(({ link }) => (link.status === 'refused' ? link.reason : undefined))
  if (workers === undefined && refusal !== undefined) return <ErrorNote error={refusal} />
  if (workers === undefined) {
    return (
      <div class="cards">
        {[1, 2, 3, 4].map((n) => (
          <div key={n} class="card card-coming">
            <Skeleton lines={8} />
          </div>
        ))}
      </div>
    )
  }
  const [opened] = rest
  const areMany = workers.length > MAX_CARDS
  return (
    <>
      <div class="workers-bar">
        <WorkerFilter workers={workers} choice={choice} onChoose={setChoice} areMany={areMany} />
        <ModeSelect />
        {reason !== undefined && (
          <p class="workers-why">
            <Icon name="key" />
            {reason}, so it can look and give no orders.
          </p>
        )}
      </div>
      {areMany && (
        <p class="for-readers" role="status">
          {counted(chosen.length, 'worker')} shown
        </p>
      )}
      {chosen.length === 0 ? (
        <EmptyState icon="workers" title={workers.length === 0 ? 'There are no workers' : 'No worker is like that'}>
          {workers.length === 0
            ? 'They are in the configuration, under workers.'
            : 'Choose another state, or search for less.'}
        </EmptyState>
      ) : areMany ? (
        <ul class="tiles">
          {chosen.map((worker) => (
            <li key={worker.id}>
              <WorkerTile worker={worker} isOpen={worker.id === opened} />
            </li>
          ))}
        </ul>
      ) : (
        <div class="cards">
          {chosen.map((worker) => (
            <WorkerCard key={worker.id} worker={worker} />
          ))}
        </div>
      )}
      {opened !== undefined && (
        <WorkerDrawer
          key={opened}
          id={opened}
          worker={workers.find(({ id, n }) => id === opened || String(n) === opened)}
        />
      )}
    </>
  )
}
