import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { clientSignal } from '../client-signal.ts'
import { documented } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { InputError } from '../problems.ts'
import { type StatusBody, statusBody, toStatusBody } from '../schemas/pool.ts'
import { toWorkerBody, workerBody, workerParams, workersBody } from '../schemas/worker.ts'
import { WORKER } from './worker-example.ts'

/** Orders to a worker's Tor. Each answers once the order is carried out. */
const ORDERS = {
  start: {
    summary: 'Start Tor service',
    description:
      "Starts the worker's Tor and answers once it is bootstrapped. Nothing happens to one that is up. The order stands if the client goes before.",
  },
  stop: {
    summary: 'Stop Tor service',
    description:
      "Stops the worker's Tor and answers once it is gone. Requests through it fail over to others. It stays stopped until it is started, restarted or enabled.",
  },
  restart: {
    summary: 'Restart Tor service',
    description: "Stops the worker's Tor, starts it again with the same guards and answers once it is bootstrapped.",
  },
} as const

export function torRoutes(app: ApiApp, backend: Backend): void {
  const carryOut = {
    start: backend.startTor.bind(backend),
    stop: backend.stopTor.bind(backend),
    restart: backend.restartTor.bind(backend),
  }

  app.get(
    '/api/v1/tor/workers',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'listWorkers',
        summary: 'List all Tor workers',
        description: 'Every worker, in the order of the configuration.',
        response: { 200: workersBody },
        ...documented({ answered: 'The workers.', answer: { workers: [WORKER] }, problems: [] }),
      },
    },
    async () => ({ workers: backend.workers().map(toWorkerBody) }),
  )

  app.get(
    '/api/v1/tor/workers/:n',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'getWorker',
        summary: 'Get specific worker status',
        description: 'One worker, by number or id.',
        params: workerParams,
        response: { 200: workerBody },
        ...documented({ answered: 'The worker.', answer: WORKER, problems: ['worker_not_found'] }),
      },
    },
    async (request) => toWorkerBody(findWorker(backend.workers(), request.params.n)),
  )

  for (const order of ['start', 'stop', 'restart'] as const) {
    app.post(
      `/api/v1/tor/workers/:n/tor/${order}`,
      {
        schema: {
          tags: ['Workers'],
          operationId: `${order}Tor`,
          ...ORDERS[order],
          params: workerParams,
          response: { 200: workerBody },
          ...documented({
            answered: 'Done: the worker as it is now.',
            answer: WORKER,
            problems: ['invalid_input', 'unsupported_media_type', 'worker_not_found', 'conflict', 'worker_unreachable'],
          }),
        },
        preValidation: async (request) => refuseBody(request.body),
      },
      async (request, reply) => {
        const { id } = findWorker(backend.workers(), request.params.n)
        request.workerId = id
        await carryOut[order](id, clientSignal(reply))
        return toWorkerBody(findWorker(backend.workers(), id))
      },
    )
  }

  app.get(
    '/api/v1/tor/status',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'getStatus',
        summary: 'Cluster status summary',
        description: 'The pool in numbers: workers by state, Tor processes, leases and requests.',
        response: { 200: statusBody },
        ...documented({ answered: 'The summary.', answer: STATUS, problems: [] }),
      },
    },
    async () => toStatusBody(backend.mode(), backend.workers(), backend.service()),
  )
}

/** An order has no fields; one that is sent all the same was meant for something. */
function refuseBody(body: unknown): void {
  const isEmpty = body === undefined || (typeof body === 'object' && body !== null && Object.keys(body).length === 0)
  if (!isEmpty) throw new InputError([{ path: '', message: 'must be empty: this request has no fields' }])
}

const STATUS: StatusBody = {
  status: 'healthy',
  mode: 'round_robin',
  service: { version: '0.1.0', started_at: '2026-01-31T12:00:00.000Z' },
  workers: {
    total: 4,
    receiving_traffic: 4,
    by_state: { starting: 0, healthy: 4, suspect: 0, dead: 0, recovery: 0 },
    by_desired: { enabled: 4, drained: 0, stopped: 0 },
  },
  tor: { running: 4, bootstrapped: 4, versions: ['0.4.9.11'] },
  leases: 3,
  requests: 1_204,
  failures: 2,
}
