import { useLive } from '../context.ts'
import { textOf } from '../panels/event-filter.ts'
import { linkTo } from '../routing/route.ts'
import { Icon } from '../ui/icon.tsx'
import { EmptyState } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { TimeAgo } from '../ui/time.tsx'
import { SEVERITY_LOOKS } from './problems.tsx'

const SHOWN = 12
/** What happens all the time, or is told again at its end. */
const LEFT_OUT = new Set(['session_moved', 'session_rotated', 'session_ended', 'recovery_step_ended'])

/** What happened of late, the newest first. */
export function LastEvents() {
  const events = useLive((state) => state.events).filter(({ type }) => !LEFT_OUT.has(type))
  return (
    <Panel
      title="Last events"
      flush
      actions={
        <a href={linkTo('events')} class="quiet-link">
          All
        </a>
      }
    >
      {events.length === 0 ? (
        <EmptyState icon="events" title="Nothing has happened yet" />
      ) : (
        <ol class="last-events">
          {events
            .slice(-SHOWN)
            .toReversed()
            // By place: what happens changes the text of the rows and moves none of them.
            .map(({ id, at, severity, ...event }, place) => (
              <li key={place} data-event={id}>
                <span class={`outcome tone-${SEVERITY_LOOKS[severity].tone}`}>
                  <Icon name={SEVERITY_LOOKS[severity].icon} size={14} label={severity} />
                </span>
                <span class="last-events-text" title={textOf(event)}>
                  {textOf(event)}
                </span>
                <span class="muted">
                  <TimeAgo at={at} />
                </span>
              </li>
            ))}
        </ol>
      )}
    </Panel>
  )
}
