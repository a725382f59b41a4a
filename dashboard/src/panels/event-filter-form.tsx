import { useId } from 'preact/hooks'
import { EVENT_TYPES, SEVERITIES } from '../../../src/domain/events.ts'
import { useLive } from '../context.ts'
import { inWords } from '../ui/text.ts'
import type { EventFilter } from './event-filter.ts'

interface EventFilterFormProps {
  readonly filter: EventFilter
  readonly onChange: (filter: EventFilter) => void
}

export function EventFilterForm({ filter, onChange }: EventFilterFormProps) {
  const workers = useLive(({ view }) => view?.workers)
  const listId = useId()
  const toggle = (severity: string) => {
    const { severities } = filter
    const others = severities.filter((each) => each !== severity)
    onChange({ ...filter, severities: others.length < severities.length ? others : [...others, severity] })
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a <search> is not known to all browsers yet
    <div class="filters" role="search" aria-label="Filter events">
      <fieldset class="segmented">
        <legend class="for-readers">Severity</legend>
        {SEVERITIES.map((severity) => (
          <label key={severity}>
            <input type="checkbox" checked={filter.severities.includes(severity)} onChange={() => toggle(severity)} />
            <span>{severity}</span>
          </label>
        ))}
      </fieldset>
      <select
        aria-label="Type"
        value={filter.type}
        onChange={({ currentTarget }) => onChange({ ...filter, type: currentTarget.value })}
      >
        <option value="">all types</option>
        {EVENT_TYPES.map((type) => (
          <option key={type} value={type}>
            {inWords(type)}
          </option>
        ))}
      </select>
      <input
        list={listId}
        placeholder="Worker"
        aria-label="Worker"
        value={filter.worker}
        onInput={({ currentTarget }) => onChange({ ...filter, worker: currentTarget.value.trim() })}
      />
      <datalist id={listId}>
        {workers?.map(({ id }) => (
          <option key={id} value={id} />
        ))}
      </datalist>
      <input
        type="search"
        placeholder="Text"
        aria-label="Text"
        value={filter.text}
        onInput={({ currentTarget }) => onChange({ ...filter, text: currentTarget.value })}
      />
    </div>
  )
}
