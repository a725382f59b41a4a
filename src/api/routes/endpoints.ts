import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { type EndpointsBody, endpointsBody, toEndpointsBody } from '../schemas/endpoint.ts'

export function endpointRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/api/v1/endpoints',
    {
      schema: {
        tags: ['Core'],
        operationId: 'getEndpoints',
        summary: 'Tor check endpoint statistics',
        description: 'What the checks of workers through Tor saw of each check endpoint, in all and by worker.',
        response: { 200: endpointsBody },
        ...documented({ answered: 'The statistics since the service started.', answer: ANSWER, problems: [] }),
      },
    },
    async () => toEndpointsBody(backend.endpoints()),
  )
}

const ANSWER: EndpointsBody = {
  endpoints: [
    {
      name: 'check.torproject.org',
      url: 'https://check.torproject.org/api/ip',
      kind: 'clearnet',
      attempts: 120,
      successes: 119,
      failures: 1,
      last_error: 'no answer within 8000 ms',
      last_success_at: '2026-01-31T12:00:00.000Z',
      latency_ms: { p50: 640, p95: 1_480 },
      workers: [
        {
          worker: 'tor01',
          attempts: 120,
          successes: 119,
          failures: 1,
          last_error: 'no answer within 8000 ms',
          last_success_at: '2026-01-31T12:00:00.000Z',
          latency_ms: { p50: 640, p95: 1_480 },
        },
      ],
      series: [
        { at: '2026-01-31T11:59:30.000Z', checks: 3, failures: 1, mean_ms: 702.5 },
        { at: '2026-01-31T12:00:00.000Z', checks: 1, failures: 0, mean_ms: 640 },
      ],
    },
  ],
}
