import { z } from 'zod'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'

export function metricsRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/metrics',
    {
      schema: {
        tags: ['Operation'],
        operationId: 'getMetrics',
        summary: 'The service in numbers, for Prometheus',
        description:
          'Requests, attempts, leases, health, probes, recoveries, restarts and durations, in the text format of Prometheus. Labels are workers, states and codes; none is a target or a key.',
        response: { 200: { content: { 'text/plain': { schema: z.string() } } } },
        ...documented({ answered: 'The metrics.', answer: ANSWER, problems: [] }),
      },
    },
    async (_request, reply) => {
      const { contentType, text } = await backend.metrics()
      return reply.header('content-type', contentType).send(text)
    },
  )
}

const ANSWER = `# HELP cbtor_requests_total Requests to targets, by worker, door, mode and outcome.
# TYPE cbtor_requests_total counter
cbtor_requests_total{worker="tor01",route="fetch",mode="round_robin",outcome="ok"} 301
`
