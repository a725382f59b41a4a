import { useMemo, useState } from 'preact/hooks'
import type { EventBody, EventsBody } from '../api/bodies.ts'
import { useLive } from '../context.ts'
import { clockTime } from '../time/clock.ts'
import { Badge, type Tone } from '../ui/badge.tsx'
import { Button } from '../ui/button.tsx'
import { EmptyState, ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { counted, inWords } from '../ui/text.ts'
import { TimeAgo } from '../ui/time.tsx'
import { useResource } from '../ui/use-resource.ts'
import { EVERYTHING, type EventFilter, isWanted, newestFirst, pathOf, textOf } from './event-filter.ts'
import { EventFilterForm } from './event-filter-form.tsx'
import { NeedsScope } from './needs-scope.tsx'
import { useHeldBack } from './use-held-back.ts'
import { WorkerLink } from './worker-link.tsx'

const SHOWN = 100
/** So many of before are asked for when a filter is set. */
const EARLIER = 1_000

export function Events({ rest: [worker = ''] }: { readonly rest: readonly string[] }) {
  return (
    <NeedsScope scope="workers:read" title="Events" shows="Here is what happened to the pool.">
      <EventList key={worker} worker={worker} />
    </NeedsScope>
  )
}

function EventList({ worker }: { readonly worker: string }) {
  const [filter, setFilter] = useState<EventFilter>({ ...EVERYTHING, worker })
  const [limit, setLimit] = useState(SHOWN)
  const live = useLive(({ events }) => events)
  const hasView = useLive(({ view }) => view !== undefined)
  const isWorker = useLive(({ view }) => view?.workers.some(({ id }) => id === filter.worker) ?? false)
  const hasLost = useLive(({ hasLostEvents }) => hasLostEvents)
  // The page has the latest events of all kinds. Of one kind there may be more, further back.
  const earlier = useResource<EventsBody>(pathOf(filter, { isWorker, limit: EARLIER }))
  const found = useMemo(
    () => newestFirst(earlier.data?.events ?? [], live).filter((event) => isWanted(event, filter)),
    [live, earlier.data, filter],
  )
  const { shown, heldBack, show, onRow } = useHeldBack(found)
  return (
    <Panel title="Events" note={counted(found.length, 'event')} flush>
      <EventFilterForm
        filter={filter}
        onChange={(next) => {
          setFilter(next)
          setLimit(SHOWN)
        }}
      />
      {hasLost && (
        <p class="note tone-warn">
          Some events are missing: the service no longer had them when the page was connected again.
        </p>
      )}
      {earlier.error ? <ErrorNote error={earlier.error} onRetry={earlier.reload} /> : null}
      {found.length === 0 &&
        (hasView ? <EmptyState icon="events" title="No event fits the filter." /> : <Skeleton lines={8} />)}
      {heldBack > 0 && (
        <p class="held-back">
          <Button kind="primary" onPress={show}>{`Show ${counted(heldBack, 'newer event')}`}</Button>
        </p>
      )}
      <ol class="events" aria-label="Events, the newest first">
        {shown.slice(0, limit).map((event) => (
          <EventRow key={event.id} event={event} onToggle={onRow} />
        ))}
      </ol>
      {shown.length > limit && (
        <p class="more">
          <Button onPress={() => setLimit(limit + 2 * SHOWN)}>Show more</Button>{' '}
          {counted(shown.length - limit, 'event')} before
        </p>
      )}
    </Panel>
  )
}

const TONES: Readonly<Record<string, Tone>> = { error: 'bad', warn: 'warn', info: 'idle' }
const ICONS = { error: 'bad', warn: 'warn', info: 'info' } as const

interface EventRowProps {
  readonly event: EventBody
  readonly onToggle: (isOpen: boolean) => void
}

function EventRow({ event, onToggle }: EventRowProps) {
  const { at, severity, type, worker, replica, details } = event
  const [isOpen, setOpen] = useState(false)
  return (
    <li class="event" data-event={event.id}>
      <span class="event-when">
        <TimeAgo at={at} />
      </span>
      <Badge tone={TONES[severity] ?? 'idle'} icon={ICONS[severity] ?? 'info'}>
        {severity}
      </Badge>
      <span class="event-worker">{worker !== null && <WorkerLink id={worker} />}</span>
      <details
        class="event-text"
        onToggle={({ currentTarget }) => {
          setOpen(currentTarget.open)
          onToggle(currentTarget.open)
        }}
      >
        <summary>{textOf(event)}</summary>
        {isOpen && (
          <dl class="event-details">
            <Detail name="when">{clockTime(at)}</Detail>
            <Detail name="type">{inWords(type)}</Detail>
            <Detail name="number">{event.id}</Detail>
            {replica !== null && <Detail name="gateway">{replica}</Detail>}
            {Object.entries(details).map(([name, value]) => (
              <Detail key={name} name={inWords(name)}>
                {typeof value === 'string' ? value : JSON.stringify(value)}
              </Detail>
            ))}
          </dl>
        )}
      </details>
    </li>
  )
}

function Detail({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
