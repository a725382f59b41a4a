import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { clientSignal } from '../client-signal.ts'
import { documented } from '../docs/documented.ts'
import { LiveLooks } from '../live-looks.ts'
import { liveStream } from '../live-stream.ts'
import type { OpenStreams } from '../open-streams.ts'
import { liveStreamQuery, streamHeaders } from '../schemas/event.ts'
import { type LiveBody, type LiveChangeBody, liveBody, toLiveBody } from '../schemas/live.ts'
import { UNDER_WAY } from './requests.ts'
import { WORKER } from './worker-example.ts'

export function liveRoutes(app: ApiApp, backend: Backend, streams: OpenStreams, clock: Clock): void {
  const looks = new LiveLooks(backend, clock)

  app.get(
    '/api/v1/live',
    {
      schema: {
        tags: ['Operation'],
        operationId: 'getLive',
        summary: 'All that a page shows, at one look',
        description:
          'The pool, its figures of the last minute and the last 15 minutes, its problems, every worker with the states of its last hour, and the requests under way, without their targets.',
        response: { 200: liveBody },
        ...documented({ answered: 'The service at this moment.', answer: LIVE, problems: [] }),
      },
    },
    async () => toLiveBody(backend.live(), backend.mode()),
  )

  app.get(
    '/api/v1/live/stream',
    {
      exposeHeadRoute: false,
      schema: {
        tags: ['Operation'],
        operationId: 'streamLive',
        summary: 'All that a page shows, as it changes',
        description:
          'Server-sent events: first `live`, as `GET /api/v1/live` has it; then `change` each second, and soon after each event, with what has changed: figures, the newest points, problems, workers (whole) and those that are gone, and the requests under way. `event` is what happens, at once, as `GET /api/v1/events` has it; `Last-Event-ID` goes on after an event that the reader has, and `events_lost` says that some in between are lost. A reader that does not read is cut off.',
        querystring: liveStreamQuery,
        headers: streamHeaders,
        response: { 200: { content: { 'text/event-stream': { schema: z.string() } } } },
        ...documented({
          answered: 'What is and what changes, until either side ends the connection.',
          answer: `retry: 2000\nid: 1769860800042\n\nevent: live\ndata: ${JSON.stringify(LIVE)}\n\nevent: change\ndata: ${JSON.stringify(CHANGE)}\n\n`,
          problems: ['invalid_input', 'concurrency_limited'],
        }),
      },
    },
    async (request, reply) => {
      streams.count(request.caller.id, reply.raw)
      const options = {
        ...{ looks, history: backend.events, clock },
        sinceId: request.headers['last-event-id'] ?? request.query.since_id,
        cutOff: () => void reply.raw.destroy(),
      }
      const signal = AbortSignal.any([clientSignal(reply), streams.closing])
      reply.header('content-type', 'text/event-stream').header('connection', 'close')
      // The schema is for the document: a stream is sent as it is.
      return reply.send(Readable.from(liveStream(options, signal)) as unknown as string)
    },
  )
}

const LIVE: LiveBody = {
  at: '2026-01-31T12:05:12.000Z',
  version: '0.1.0',
  started_at: '2026-01-31T12:00:00.000Z',
  pool: {
    ...{ state: 'ok', mode: 'round_robin', window_s: 60, requests_per_s: 4.02, success_ratio: 0.9917 },
    ...{ p50_ms: 811.4, p95_ms: 2_104.9, leases: 3, waiting: 0, tunnels: 1 },
    ...{ read_bytes_per_s: 418_221, written_bytes_per_s: 20_114 },
  },
  series: [
    { at: '2026-01-31T12:05:00.000Z', requests: 40, failures: 1, p50_ms: 811.4, p95_ms: 2_104.9 },
    { at: '2026-01-31T12:05:10.000Z', requests: 9, failures: 0, p50_ms: 737.7, p95_ms: 1_581.4 },
  ],
  problems: [],
  workers: [
    {
      ...WORKER,
      history: [
        { state: 'starting', since: '2026-01-31T11:59:40.000Z' },
        { state: 'healthy', since: '2026-01-31T12:00:00.000Z' },
      ],
      ...{ requests_per_s: 4.02, read_bytes_per_s: 418_221, written_bytes_per_s: 20_114 },
    },
  ],
  requests: UNDER_WAY,
  requests_total: UNDER_WAY.length,
}

const CHANGE: LiveChangeBody = {
  at: '2026-01-31T12:05:13.000Z',
  pool: { ...LIVE.pool, leases: 2 },
  series: LIVE.series.slice(-1),
  workers: [],
  removed: [],
  requests: [],
  requests_total: 0,
}
