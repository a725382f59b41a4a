import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { type ReplicasBody, replicasBody, toReplicasBody } from '../schemas/replica.ts'

export function replicaRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/api/v1/replicas',
    {
      schema: {
        tags: ['Core'],
        operationId: 'getReplicas',
        summary: 'The gateways that share the pool',
        description: 'Which gateways live and what each of them heals, and whether the store that they share answers.',
        response: { 200: replicasBody },
        ...documented({ answered: 'The gateways, as this one sees them.', answer: ANSWER, problems: [] }),
      },
    },
    async () => toReplicasBody(backend.replicas()),
  )
}

const ANSWER: ReplicasBody = {
  store: { kind: 'shared', up: true, down_since: null, pending: 0 },
  replicas: [
    { name: 'gw1', version: '1.0.0', started_at: '2026-01-31T12:00:00.000Z', self: true, heals: 2 },
    { name: 'gw2', version: '1.0.0', started_at: '2026-01-31T12:00:02.000Z', self: false, heals: 2 },
  ],
}
