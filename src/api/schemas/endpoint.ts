import { z } from 'zod'
import { isoTime } from '../../lib/iso-time.ts'
import type { CheckStatistics, EndpointView } from '../views.ts'
import { count, instant, milliseconds, oneOf, roundMs } from './common.ts'
import { isoTimeOrNull } from './worker.ts'

const statistics = {
  attempts: count,
  successes: count,
  failures: count,
  last_error: z.string().nullable(),
  last_success_at: instant.nullable(),
  latency_ms: z
    .object({ p50: milliseconds, p95: milliseconds })
    .nullable()
    .describe('Percentiles of successful checks. Null when there was none.'),
}

export const endpointsBody = z
  .object({
    endpoints: z.array(
      z.object({
        name: z.string(),
        url: z.string(),
        kind: oneOf(['clearnet', 'onion']),
        ...statistics,
        workers: z.array(z.object({ worker: z.string(), ...statistics })),
        series: z
          .array(
            z.object({
              at: instant,
              checks: count,
              failures: count,
              mean_ms: milliseconds.nullable().describe('Of the checks that passed. Null when none did.'),
            }),
          )
          .describe(
            'The checks of the last half hour in steps of 30 s, the oldest first; none where nothing was checked.',
          ),
      }),
    ),
  })
  .meta({ id: 'Endpoints' })

export type EndpointsBody = z.output<typeof endpointsBody>

export function toEndpointsBody(endpoints: readonly EndpointView[]): EndpointsBody {
  return {
    endpoints: endpoints.map((endpoint) => ({
      name: endpoint.name,
      url: endpoint.url,
      kind: endpoint.kind,
      ...toStatistics(endpoint),
      workers: endpoint.workers.map((worker) => ({ worker: worker.worker, ...toStatistics(worker) })),
      series: endpoint.series.map(({ at, checks, failures, meanMs }) => ({
        ...{ at: isoTime(at), checks, failures },
        mean_ms: meanMs === undefined ? null : roundMs(meanMs),
      })),
    })),
  }
}

function toStatistics(checks: CheckStatistics) {
  const { p50Ms, p95Ms } = checks
  return {
    attempts: checks.attempts,
    successes: checks.successes,
    failures: checks.failures,
    last_error: checks.lastError ?? null,
    last_success_at: isoTimeOrNull(checks.lastSuccessAt),
    latency_ms: p50Ms === undefined || p95Ms === undefined ? null : { p50: roundMs(p50Ms), p95: roundMs(p95Ms) },
  }
}
