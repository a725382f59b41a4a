import { z } from 'zod'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { type HealthBody, healthBody, toHealthBody } from '../schemas/pool.ts'

export function healthRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/api/v1/health',
    {
      schema: {
        tags: ['Core'],
        operationId: 'getHealth',
        summary: 'Worker pool health status',
        description:
          'The health of each worker and of the pool, and what is wrong at present. The status of this answer is 200 whenever the service answers: read `status`.',
        response: { 200: healthBody },
        ...documented({ answered: 'The health of the pool.', answer: HEALTH, problems: [] }),
      },
    },
    async () => toHealthBody(backend.mode(), backend.workers(), backend.problems()),
  )

  app.get(
    '/healthz',
    {
      schema: {
        tags: ['Core'],
        operationId: 'getLiveness',
        summary: 'Whether the service is alive',
        description: 'For process supervisors and load balancers. Says nothing of workers: see `GET /api/v1/health`.',
        response: { 200: z.object({ status: z.literal('ok') }) },
        ...documented({ answered: 'The service is alive.', answer: { status: 'ok' }, problems: [] }),
      },
    },
    async () => ({ status: 'ok' as const }),
  )
}

const HEALTH: HealthBody = {
  status: 'degraded',
  mode: 'round_robin',
  total: 2,
  receiving_traffic: 1,
  workers: [
    {
      id: 'tor01',
      n: 1,
      desired: 'enabled',
      state: 'healthy',
      since: '2026-01-31T12:00:00.000Z',
      consecutive_failures: 0,
      receives_traffic: true,
      leases: 3,
      next_action: { type: 'probe', at: '2026-01-31T12:05:18.000Z', reason: null },
    },
    {
      id: 'tor02',
      n: 2,
      desired: 'enabled',
      state: 'dead',
      since: '2026-01-31T12:05:10.000Z',
      consecutive_failures: 6,
      receives_traffic: false,
      leases: 0,
      next_action: { type: 'recover', at: '2026-01-31T12:05:14.000Z', reason: 'attempt 2 failed' },
    },
  ],
  problems: [
    {
      code: 'worker_dead',
      severity: 'warn',
      text: 'tor02 is dead: its process exited',
      since: '2026-01-31T12:05:10.000Z',
      worker: 'tor02',
    },
  ],
}
