import { z } from 'zod'
import { EVENT_TYPES, type RecordedEvent, SEVERITIES, workerOf } from '../../domain/events.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { instant, listOf, oneOf, requestObject, wholeNumberText } from './common.ts'

const eventId = z.int().min(0)

export const eventBody = z
  .object({
    id: eventId.describe('Higher than that of every earlier event, also across restarts of the service.'),
    at: instant,
    type: oneOf(EVENT_TYPES as readonly [string, ...string[]]),
    severity: oneOf(SEVERITIES),
    worker: z.string().nullable().describe('Null when it is not of one worker.'),
    replica: z
      .string()
      .nullable()
      .describe('The gateway that it happened at, where several share the pool. Null: this one.'),
    text: z.string().describe('A sentence for people.'),
    details: z.record(z.string(), z.unknown()).describe('The fields of this type of event.'),
  })
  .meta({ id: 'Event' })

export type EventBody = z.output<typeof eventBody>

export const eventsBody = z
  .object({
    events: z.array(eventBody).describe('The newest last.'),
    next_since_id: eventId.describe('The `since_id` to go on with.'),
    lost: z.boolean().describe('Whether events after `since_id` are missing because they are no longer kept.'),
  })
  .meta({ id: 'Events' })

export type EventsBody = z.output<typeof eventsBody>

/** What the stream says when it cannot go on where the reader stopped. */
export const eventsLostBody = z.object({
  since_id: eventId.describe('The last event that the reader has.'),
  oldest_id: eventId.describe('The oldest event that is still kept: those between the two are lost.'),
})

export type EventsLostBody = z.output<typeof eventsLostBody>

const sinceId = wholeNumberText(0, Number.MAX_SAFE_INTEGER, '1769860800042').optional()

const filters = {
  type: listOf(EVENT_TYPES, 'health_changed,recovery_ended')
    .optional()
    .describe('Only events of these types, with commas between them.'),
  worker: z
    .string({ error: 'must be the id of a worker, or its number from 1' })
    .optional()
    .describe('Only events of this worker, by id or number.')
    .meta({ examples: ['tor01'] }),
  severity: listOf(SEVERITIES, 'error,warn')
    .optional()
    .describe('Only events of these severities, with commas between them.'),
}

export const eventsQuery = requestObject({
  ...filters,
  since_id: sinceId.describe(
    'Only events after the one with this id, the oldest of them first; 0 for all. Without it: the newest ones.',
  ),
  limit: wholeNumberText(1, 1_000, '50').default(100).describe('So many events at most, 1 to 1000. Default: 100.'),
})

export const streamQuery = requestObject({
  ...filters,
  since_id: sinceId.describe(
    'Begin after the event with this id, as `Last-Event-ID`, which is stronger. Without both: with the next event.',
  ),
})

export const liveStreamQuery = requestObject({
  since_id: sinceId.describe(
    'Tell the events after the one with this id, too, as `Last-Event-ID`, which is stronger. Without both: from the next event on.',
  ),
})

export const streamHeaders = z.object({
  'last-event-id': sinceId.describe(
    'The last event that the reader has: browsers send it by themselves when they connect again.',
  ),
})

export interface EventFilter {
  readonly type?: readonly string[] | undefined
  readonly severity?: readonly string[] | undefined
  readonly workerId?: string | undefined
}

export function isWanted({ event, severity }: RecordedEvent, filter: EventFilter): boolean {
  return (
    (filter.type?.includes(event.type) ?? true) &&
    (filter.severity?.includes(severity) ?? true) &&
    (filter.workerId === undefined || filter.workerId === workerOf(event))
  )
}

export function toEventBody({ id, at, severity, text, event, replica }: RecordedEvent): EventBody {
  const { type, ...fields } = event
  const details = Object.entries(fields).filter(([name]) => name !== 'worker')
  return {
    id,
    at: isoTime(at),
    type,
    severity,
    worker: workerOf(event) ?? null,
    replica: replica ?? null,
    text,
    details: Object.fromEntries(details.map(([name, value]) => [snakeCase(name), value ?? null])),
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
