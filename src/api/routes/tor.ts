import { CbtorError } from '../../domain/errors.ts'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { within } from '../../lib/within.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { clientSignal } from '../client-signal.ts'
import { documented } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { refuseBody } from '../refuse-body.ts'
import { inspectedWorkerBody, toInspectedWorkerBody } from '../schemas/inspected-worker.ts'
import { type StatusBody, statusBody, toStatusBody } from '../schemas/pool.ts'
import { toWorkerBody, workerBody, workerParams, workersBody } from '../schemas/worker.ts'
import type { InspectionView } from '../views.ts'
import { INSPECTED_WORKER, WORKER } from './worker-example.ts'

/** Orders to a worker, each with the last words of its path. Each answers once the order is carried out. */
const ORDERS = {
  start: {
    path: 'tor/start',
    operationId: 'startTor',
    summary: 'Start Tor service',
    description:
      "Starts the worker's Tor and answers once it is bootstrapped. Nothing happens to one that is up. The order stands if the client goes before.",
  },
  stop: {
    path: 'tor/stop',
    operationId: 'stopTor',
    summary: 'Stop Tor service',
    description:
      "Stops the worker's Tor and answers once it is gone. Requests through it fail over to others. It stays stopped until it is started, restarted or enabled.",
  },
  restart: {
    path: 'tor/restart',
    operationId: 'restartTor',
    summary: 'Restart Tor service',
    description: "Stops the worker's Tor, starts it again with the same guards and answers once it is bootstrapped.",
  },
  reboot: {
    path: 'reboot',
    operationId: 'rebootBox',
    summary: 'Reboot the box of a worker',
    description:
      'Reboots the box on which the Tor of an `openwrt` worker runs, and answers once it has shown another boot id and its Tor is as wished: bootstrapped, unless it is to be stopped. A worker that has no box answers `conflict`.',
  },
} as const

/** How long a status waits for Tor. */
const INSPECT_MS = 1_000
const NO_ANSWER = `Cannot ask Tor: it did not answer within ${INSPECT_MS} ms`

export function torRoutes(app: ApiApp, backend: Backend, clock: Clock): void {
  const carryOut = {
    start: backend.startTor.bind(backend),
    stop: backend.stopTor.bind(backend),
    restart: backend.restartTor.bind(backend),
    reboot: backend.rebootHost.bind(backend),
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
        description:
          'One worker, by number or id, layer by layer: process, bootstrap, circuits, guards, traffic, clock and consensus. What only its Tor can tell is null, with the reason in `not_told`, when Tor does not answer within 1 s.',
        params: workerParams,
        response: { 200: inspectedWorkerBody },
        ...documented({ answered: 'The worker.', answer: INSPECTED_WORKER, problems: ['worker_not_found'] }),
      },
    },
    async (request, reply) => {
      const { id } = findWorker(backend.workers(), request.params.n)
      const inspection = await inspect(backend, id, clock, clientSignal(reply))
      return toInspectedWorkerBody(findWorker(backend.workers(), id), inspection, clock.now())
    },
  )

  for (const order of ['start', 'stop', 'restart', 'reboot'] as const) {
    const { path, ...words } = ORDERS[order]
    app.post(
      `/api/v1/tor/workers/:n/${path}`,
      {
        schema: {
          tags: ['Workers'],
          ...words,
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

/** What the worker's Tor tells, or why it tells nothing: nobody waits long for a Tor that may hang. */
async function inspect(
  backend: Backend,
  id: string,
  clock: Clock,
  client: AbortSignal,
): Promise<InspectionView | string> {
  // The order to hurry comes first, so that what is known by then can still be told.
  using hurry = deadline(clock, INSPECT_MS * 0.9, client, () => new CbtorError('tor_timeout', NO_ANSWER))
  try {
    return (await within(clock, INSPECT_MS, backend.inspect(id, hurry.signal))) ?? NO_ANSWER
  } catch (error) {
    return error instanceof CbtorError ? error.message : 'Cannot ask Tor: an error of this service'
  }
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
