import { useMemo } from 'preact/hooks'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { Icon } from '../ui/icon.tsx'
import { countGroups, GROUPS, lookOfGroup } from './look.ts'
import { type Choice, SORTS, type Sort } from './worker-list.ts'

interface WorkerFilterProps {
  readonly workers: readonly LiveWorkerBody[]
  readonly choice: Choice
  readonly onChoose: (choice: Choice) => void
  /** Few need no search. */
  readonly areMany: boolean
}

/** How many workers are how, and which of them are shown. */
export function WorkerFilter({ workers, choice, onChoose, areMany }: WorkerFilterProps) {
  const counts = useMemo(() => countGroups(workers), [workers])
  // Of many workers some always change: then every group has its place. Of few, a group that has just become empty stays to be seen
  // for as long as it is chosen.
  const groups = areMany ? GROUPS.map((group) => [group, counts.get(group) ?? 0] as const) : [...counts]
  if (!areMany && choice.group !== 'all' && !counts.has(choice.group)) groups.push([choice.group, 0])
  return (
    <>
      <fieldset class="segmented" aria-label="Workers by state" style={{ '--digits': String(workers.length).length }}>
        <button
          type="button"
          aria-pressed={choice.group === 'all'}
          onClick={() => onChoose({ ...choice, group: 'all' })}
        >
          All <span class="number">{workers.length}</span>
        </button>
        {groups.map(([group, count]) => {
          const { tone, icon, word } = lookOfGroup(group)
          return (
            <button
              key={group}
              type="button"
              class={`tone-${count === 0 ? 'idle' : tone}`}
              data-count={count}
              aria-pressed={choice.group === group}
              onClick={() => onChoose({ ...choice, group })}
            >
              <span class="outcome">
                <Icon name={icon} size={14} />
              </span>
              {word} <span class="number">{count}</span>
            </button>
          )
        })}
      </fieldset>
      {areMany && (
        <>
          <label class="search">
            <Icon name="search" />
            <span class="for-readers">Search workers</span>
            <input
              type="search"
              placeholder="Search"
              value={choice.search}
              onInput={(event) => onChoose({ ...choice, search: event.currentTarget.value })}
            />
          </label>
          <label class="mode">
            <span class="for-readers">Sort by</span>
            <select
              value={choice.sort}
              onChange={(event) => onChoose({ ...choice, sort: event.currentTarget.value as Sort })}
            >
              {Object.entries(SORTS).map(([sort, text]) => (
                <option key={sort} value={sort}>
                  Sort: {text.toLowerCase()}
                </option>
              ))}
            </select>
          </label>
        </>
      )}
    </>
  )
}
