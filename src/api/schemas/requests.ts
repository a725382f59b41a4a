import { z } from 'zod'
import type { RequestUnderWay } from '../../domain/request-watch.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { count, instant, oneOf, requestObject } from './common.ts'

/** So many requests under way are shown at most, the oldest of them. */
export const MAX_REQUESTS_SHOWN = 100

export const liveRequestBody = z
  .object({
    id: z.int().describe('Of this run of the service.'),
    kind: oneOf(['fetch', 'forward', 'tunnel', 'resolve']),
    class: oneOf(['onion', 'clear']).describe('What kind of target it goes to.'),
    port: z.int().nullable().describe("The target's."),
    key: z.string().nullable().describe("The id of the caller's key."),
    worker: z.string().nullable().describe('The worker that it is tried on; null while it waits for one.'),
    started_at: instant,
  })
  .meta({ id: 'LiveRequest' })

export type LiveRequestBody = z.output<typeof liveRequestBody>

export const requestsBody = z
  .object({
    requests: z
      .array(
        liveRequestBody.extend({
          host: z.string().nullish().describe('The host of the target: only with `targets=true`.'),
        }),
      )
      .describe(`The oldest first, at most ${MAX_REQUESTS_SHOWN}.`),
    total: count.describe('All that are under way.'),
  })
  .meta({ id: 'Requests' })

export type RequestsBody = z.output<typeof requestsBody>

export const requestsQuery = requestObject({
  targets: oneOf(['true', 'false'])
    .default('false')
    .describe('Whether to tell the host of each target. It takes a key with the scope `admin`.')
    .meta({ examples: ['false'] }),
})

export function toLiveRequestBody(request: RequestUnderWay): LiveRequestBody {
  const { id, kind, isOnion, port, key, worker, startedAt } = request
  return {
    ...{ id, kind },
    class: isOnion ? 'onion' : 'clear',
    port: port ?? null,
    key: key ?? null,
    worker: worker ?? null,
    started_at: isoTime(startedAt),
  }
}
