import { type RecordedEvent, type ServiceEvent, severityOf } from '../domain/events.ts'
import type { Clock } from '../lib/clock.ts'
import { faultFields } from '../lib/fault-fields.ts'
import { History, type Later } from '../lib/history.ts'
import type { Logger } from '../lib/log.ts'
import { printable } from '../lib/printable.ts'
import { eventText, MAX_TEXT } from './event-text.ts'
import type { Metrics } from './metrics.ts'

export interface EventsOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'eventRecorded'>
  /** So many of the newest events are kept. */
  readonly capacity?: number
}

/** The one place where what happens is told: `record` writes the log line, the metrics and the history. */
export class Events {
  readonly #options: EventsOptions
  readonly #history: History<RecordedEvent>

  constructor(options: EventsOptions) {
    const { clock, logger, capacity = 1_000 } = options
    this.#options = options
    this.#history = new History({
      capacity,
      // Higher than all ids of an earlier run, as long as that had less than an event each millisecond.
      baseId: clock.now(),
      onListenerError: (error) => logger.error({ ...faultFields(error) }, 'a listener of events failed'),
    })
  }

  record(event: ServiceEvent): RecordedEvent {
    const { clock, logger, metrics } = this.#options
    const told = tidied(event)
    const severity = severityOf(told)
    const text = printable(eventText(told), MAX_TEXT)
    const at = clock.now()
    return this.#history.add((id) => {
      const { type, ...fields } = told
      logger[severity]({ event: type, id, ...fields }, text)
      const recorded: RecordedEvent = { id, at, severity, text, event: told }
      metrics.eventRecorded(recorded)
      return recorded
    })
  }

  /** What another gateway recorded: it goes into the history, and was logged and counted there. */
  hear(replica: string, { at, severity, text, event }: Omit<RecordedEvent, 'id'>): void {
    this.#history.add((id) => ({ id, at, severity, text: printable(text, MAX_TEXT), event: tidied(event), replica }))
  }

  /** The id of the newest event. */
  get newestId(): number {
    return this.#history.newestId
  }

  /** The events after the one with this id, as far as they are kept; 0 stands for the start of the service. */
  since(id: number): Later<RecordedEvent> {
    return this.#history.since(id)
  }

  /** Calls `listener` with each event that is recorded from now on, in order. Dispose to stop listening. */
  onAdded(listener: (event: RecordedEvent) => void): Disposable {
    return this.#history.onAdded(listener)
  }
}

/** Texts printable and not without end, milliseconds whole. */
function tidied(event: ServiceEvent): ServiceEvent {
  const fields = Object.entries(event).map(([name, value]) => {
    if (typeof value === 'string') return [name, printable(value, MAX_TEXT)]
    return [name, typeof value === 'number' ? Math.round(value) : value]
  })
  return Object.fromEntries(fields) as ServiceEvent
}
