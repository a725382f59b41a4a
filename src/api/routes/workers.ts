import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { drainBody, enableBody, toWorkerBody, workerBody } from '../schemas/worker.ts'
import { WORKER } from './worker-example.ts'

export function workerRoutes(app: ApiApp, backend: Backend): void {
  app.post(
    '/api/v1/workers/drain',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'drainWorker',
        summary: 'Remove worker from pool',
        description:
          'The worker gets no new requests; running ones finish (`leases` tells how many there are), and its Tor stays up. Refused for the last worker that receives traffic, unless `force`.',
        body: drainBody,
        response: { 200: workerBody },
        ...documented({
          answered: 'The worker is drained.',
          requests: { 'By id': { worker: 'tor01' }, 'By number, even the last one': { worker: 1, force: true } },
          answer: { ...WORKER, desired: 'drained', receives_traffic: false },
          problems: ['worker_not_found', 'conflict'],
        }),
      },
    },
    async (request) => {
      const { worker, force } = request.body
      const { id } = findWorker(backend.workers(), worker)
      request.workerId = id
      await backend.drain(id, { force })
      return toWorkerBody(findWorker(backend.workers(), id))
    },
  )

  app.post(
    '/api/v1/workers/enable',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'enableWorker',
        summary: 'Force-enable worker',
        description: 'Puts the worker back into the pool, whatever its state.',
        body: enableBody,
        response: { 200: workerBody },
        ...documented({
          answered: 'The worker is enabled.',
          requests: { 'By id': { worker: 'tor01' } },
          answer: WORKER,
          problems: ['worker_not_found', 'conflict'],
        }),
      },
    },
    async (request) => {
      const { id } = findWorker(backend.workers(), request.body.worker)
      request.workerId = id
      await backend.enable(id)
      return toWorkerBody(findWorker(backend.workers(), id))
    },
  )
}
