import { useMemo } from 'preact/hooks'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { linkTo } from '../routing/route.ts'
import { Icon } from '../ui/icon.tsx'
import { Panel } from '../ui/panel.tsx'
import { counted } from '../ui/text.ts'
import { countGroups, lookOf, lookOfGroup } from '../workers/look.ts'

/** With more, a worker is a small square without its name. */
const MAX_NAMED = 24

/** Every worker at once. */
export function PoolMap({ workers }: { readonly workers: readonly LiveWorkerBody[] }) {
  // Figures of workers change each second, what is shown here seldom.
  const shown = workers.map(({ id, desired, state }) => `${id} ${desired} ${state}`).join()
  return useMemo(() => <Drawn workers={workers} />, [shown])
}

function Drawn({ workers }: { readonly workers: readonly LiveWorkerBody[] }) {
  const isNamed = workers.length <= MAX_NAMED
  return (
    <Panel
      title="Workers"
      note={counted(workers.length, 'worker')}
      actions={
        <a href={linkTo('workers')} class="quiet-link">
          All
        </a>
      }
    >
      <ul class={isNamed ? 'map map-named' : 'map'}>
        {workers.map((worker) => {
          const { tone, icon, word } = lookOf(worker)
          return (
            <li key={worker.id}>
              <a
                class={`map-worker tone-${tone}`}
                href={linkTo('workers', worker.id)}
                title={`${worker.id}: ${word}`}
                aria-label={`${worker.id}: ${word}`}
              >
                <Icon name={icon} size={isNamed ? 16 : 12} />
                {isNamed && <span>{worker.id}</span>}
              </a>
            </li>
          )
        })}
      </ul>
      <ul class="map-legend">
        {[...countGroups(workers)].map(([group, count]) => {
          const { tone, icon, word } = lookOfGroup(group)
          return (
            <li key={group}>
              <span class={`outcome tone-${tone}`}>
                <Icon name={icon} size={14} />
              </span>
              <span class="number">{count}</span> {word}
            </li>
          )
        })}
      </ul>
    </Panel>
  )
}
