import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { clientSignal } from '../client-signal.ts'
import { documented } from '../docs/documented.ts'
import { eventStream } from '../event-stream.ts'
import { findWorker } from '../find-worker.ts'
import type { OpenStreams } from '../open-streams.ts'
import {
  type EventBody,
  type EventFilter,
  type EventsBody,
  eventsBody,
  eventsQuery,
  isWanted,
  streamHeaders,
  streamQuery,
  toEventBody,
} from '../schemas/event.ts'

export function eventRoutes(app: ApiApp, backend: Backend, streams: OpenStreams, clock: Clock): void {
  app.get(
    '/api/v1/events',
    {
      schema: {
        tags: ['Operation'],
        operationId: 'listEvents',
        summary: 'What happened of late',
        description:
          'The latest events of the service, as far as they are kept: changes of health, recovery, rotation, problems. No event names a target, a sticky key or a client.',
        querystring: eventsQuery,
        response: { 200: eventsBody },
        ...documented({
          answered: 'The events, the newest last.',
          answer: ANSWER,
          problems: ['invalid_input', 'worker_not_found'],
        }),
      },
    },
    async (request): Promise<EventsBody> => {
      const { since_id: sinceId, limit, ...query } = request.query
      const filter = filterOf(query)
      const { entries, isComplete } = backend.events.since(sinceId ?? 0)
      const wanted = entries.filter((entry) => isWanted(entry, filter))
      const events = sinceId === undefined ? wanted.slice(-limit) : wanted.slice(0, limit)
      const hasMore = sinceId !== undefined && wanted.length > limit
      const nextSinceId = (hasMore ? events.at(-1)?.id : undefined) ?? backend.events.newestId
      const lost = sinceId !== undefined && !isComplete
      return { events: events.map(toEventBody), next_since_id: nextSinceId, lost }
    },
  )

  app.get(
    '/api/v1/events/stream',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['Operation'],
        operationId: 'streamEvents',
        summary: 'What happens, as it happens',
        description:
          'Server-sent events: `event` is the type, `data` an event as `GET /api/v1/events` has it. `Last-Event-ID` goes on after an event that the reader has; when events in between are lost, an event `events_lost` comes first, with `since_id` and `oldest_id`. A comment comes every 15 s when nothing happens. A reader that does not read is cut off.',
        querystring: streamQuery,
        headers: streamHeaders,
        response: { 200: { content: { 'text/event-stream': { schema: z.string() } } } },
        ...documented({
          answered: 'The events, until either side ends the connection.',
          answer: `retry: 2000\nid: ${EVENT.id - 1}\n\nid: ${EVENT.id}\nevent: ${EVENT.type}\ndata: ${JSON.stringify(EVENT)}\n\n`,
          problems: ['invalid_input', 'worker_not_found', 'concurrency_limited'],
        }),
      },
    },
    async (request, reply) => {
      const { since_id, ...query } = request.query
      const filter = filterOf(query)
      streams.count(request.caller.id, reply.raw)
      const options = {
        history: backend.events,
        filter,
        sinceId: request.headers['last-event-id'] ?? since_id,
        clock,
        cutOff: () => void reply.raw.destroy(),
      }
      const signal = AbortSignal.any([clientSignal(reply), streams.closing])
      reply.header('content-type', 'text/event-stream').header('connection', 'close')
      // The schema is for the document: a stream is sent as it is.
      return reply.send(Readable.from(eventStream(options, signal)) as unknown as string)
    },
  )

  function filterOf(
    query: Pick<EventFilter, 'type' | 'severity'> & { readonly worker?: string | undefined },
  ): EventFilter {
    const { worker, ...filter } = query
    return worker === undefined ? filter : { ...filter, workerId: findWorker(backend.workers(), worker).id }
  }
}

const EVENT: EventBody = {
  id: 1_769_860_800_042,
  at: '2026-01-31T12:05:10.000Z',
  type: 'health_changed',
  severity: 'warn',
  worker: 'tor02',
  replica: null,
  text: 'tor02 went from suspect to dead: its process exited',
  details: { from: 'suspect', to: 'dead', reason: 'its process exited' },
}

const ANSWER: EventsBody = { events: [EVENT], next_since_id: EVENT.id, lost: false }
