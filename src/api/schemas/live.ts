import { z } from 'zod'
import { MODES, type Mode } from '../../domain/exchange.ts'
import { isoTime } from '../../lib/iso-time.ts'
import type { LiveView, SeriesPointView } from '../views.ts'
import { count, instant, milliseconds, oneOf, roundMs } from './common.ts'
import { poolStatusOf, problemBody, toProblemBody } from './pool.ts'
import { liveRequestBody, MAX_REQUESTS_SHOWN, toLiveRequestBody } from './requests.ts'
import { healthState, toWorkerBody, workerBody } from './worker.ts'

const perSecond = z.number().min(0)
const percentile = milliseconds.nullable()

export const seriesPointBody = z.object({
  at: instant.describe('When its 10 seconds began. The newest one still grows.'),
  requests: count,
  failures: count.describe('Of those requests.'),
  p50_ms: percentile,
  p95_ms: percentile,
})

export type SeriesPointBody = z.output<typeof seriesPointBody>

export const livePoolBody = z.object({
  state: oneOf(['ok', 'degraded', 'down']).describe(
    '`ok`: every enabled worker is healthy; `degraded`: not all are, but some worker receives traffic; `down`: none does.',
  ),
  mode: oneOf(MODES),
  window_s: z.literal(60).describe('What the figures are of: the last so many seconds, as far as the service has run.'),
  requests_per_s: perSecond.describe('Requests that were answered or failed; what was wrong with them is no failure.'),
  success_ratio: z.number().min(0).max(1).nullable().describe('Null when there was none.'),
  p50_ms: percentile.describe(
    'Until the answer is whole, or its first byte is there where its body is passed on, or the tunnel stands; to a tenth.',
  ),
  p95_ms: percentile,
  leases: count,
  waiting: count.describe('Requests that wait for a worker or for their target to have room.'),
  tunnels: count.describe('Tunnels of proxy clients that stand.'),
  read_bytes_per_s: perSecond.describe('From workers, over the last 5 s.'),
  written_bytes_per_s: perSecond.describe('To workers, likewise.'),
})

export type LivePoolBody = z.output<typeof livePoolBody>

export const liveWorkerBody = workerBody
  .extend({
    history: z
      .array(z.object({ state: healthState, since: instant }))
      .describe('The states of the last hour, at most 60, the oldest first: it may have begun before that.'),
    requests_per_s: perSecond.describe('As of the pool.'),
    read_bytes_per_s: perSecond,
    written_bytes_per_s: perSecond,
  })
  .meta({ id: 'LiveWorker' })

export type LiveWorkerBody = z.output<typeof liveWorkerBody>

const requests = z.array(liveRequestBody).describe(`Those under way, the oldest first, at most ${MAX_REQUESTS_SHOWN}.`)
const requestsTotal = count.describe('All that are under way.')

export const liveBody = z
  .object({
    at: instant,
    version: z.string(),
    started_at: instant.describe('When the service was started.'),
    pool: livePoolBody,
    series: z.array(seriesPointBody).describe('The last 15 minutes, the oldest first: 90 points.'),
    problems: z.array(problemBody).describe('What is wrong at present, the oldest first.'),
    workers: z.array(liveWorkerBody),
    requests,
    requests_total: requestsTotal,
  })
  .meta({ id: 'Live' })

export type LiveBody = z.output<typeof liveBody>

/** What is another than in the message before. */
export const liveChangeBody = z
  .object({
    at: instant,
    pool: livePoolBody,
    series: z.array(seriesPointBody).describe('The newest point, and those that it came after since.'),
    problems: z.array(problemBody).optional().describe('All of them, when some have changed.'),
    workers: z.array(liveWorkerBody).describe('Those that have changed, each of them whole.'),
    removed: z.array(z.string()).describe('Ids of workers that are gone.'),
    requests,
    requests_total: requestsTotal,
  })
  .meta({ id: 'LiveChange' })

export type LiveChangeBody = z.output<typeof liveChangeBody>

export function toLiveBody(live: LiveView, mode: Mode): LiveBody {
  const { version, startedAt } = live.service
  const { requests, total } = live.requests
  return {
    at: isoTime(live.at),
    version,
    started_at: isoTime(startedAt),
    pool: toPoolBody(live, mode),
    series: live.series.map(toPointBody),
    problems: live.problems.map(toProblemBody),
    workers: live.workers.map(({ worker, history, requestsPerS, readBytesPerS, writtenBytesPerS }) => ({
      ...toWorkerBody(worker),
      history: history.map(({ state, since }) => ({ state, since: isoTime(since) })),
      requests_per_s: rounded(requestsPerS),
      read_bytes_per_s: Math.round(readBytesPerS),
      written_bytes_per_s: Math.round(writtenBytesPerS),
    })),
    requests: requests.map(toLiveRequestBody),
    requests_total: total,
  }
}

function toPoolBody({ pool, workers }: LiveView, mode: Mode): LivePoolBody {
  const status = poolStatusOf(workers.map(({ worker }) => worker))
  return {
    state: status === 'healthy' ? 'ok' : status,
    mode,
    window_s: 60,
    requests_per_s: rounded(pool.requestsPerS),
    success_ratio: pool.successRatio === undefined ? null : Math.round(pool.successRatio * 10_000) / 10_000,
    p50_ms: msOrNull(pool.p50Ms),
    p95_ms: msOrNull(pool.p95Ms),
    leases: pool.leases,
    waiting: pool.waiting,
    tunnels: pool.tunnels,
    read_bytes_per_s: Math.round(pool.readBytesPerS),
    written_bytes_per_s: Math.round(pool.writtenBytesPerS),
  }
}

function toPointBody({ at, requests, failures, p50Ms, p95Ms }: SeriesPointView): SeriesPointBody {
  return { at: isoTime(at), requests, failures, p50_ms: msOrNull(p50Ms), p95_ms: msOrNull(p95Ms) }
}

function msOrNull(ms: number | undefined): number | null {
  return ms === undefined ? null : roundMs(ms)
}

function rounded(perSecond: number): number {
  return Math.round(perSecond * 100) / 100
}
