import { abortable } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { within } from '../../lib/within.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { clientSignal } from '../client-signal.ts'
import { documented } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { InputError } from '../problems.ts'
import {
  type NewCircuitsBody,
  type NewCircuitsPendingBody,
  newCircuitsBody,
  newCircuitsOrderBody,
  newCircuitsPendingBody,
  newCircuitsQuery,
  toNewCircuitsBody,
} from '../schemas/new-circuits.ts'
import { workerParams } from '../schemas/worker.ts'

/** Tor acts at once, but not twice in 10 s. */
const DEFAULT_WAIT_MS = 12_000

export function newCircuitsRoutes(app: ApiApp, backend: Backend, clock: Clock): void {
  app.post(
    '/api/v1/tor/workers/:n/newnym',
    {
      schema: {
        tags: ['Workers'],
        operationId: 'newCircuits',
        summary: 'Give a worker new circuits',
        description:
          'All later streams of the worker use other circuits (`SIGNAL NEWNYM`); its idle connections are dropped, running requests are not. Answers once Tor has acted, which it does at once, but not twice in 10 s. Other exits are likely, not promised.',
        params: workerParams,
        querystring: newCircuitsQuery,
        body: newCircuitsOrderBody,
        response: { 200: newCircuitsBody, 202: newCircuitsPendingBody },
        ...documented({
          answered: 'Tor has acted.',
          requests: { 'Wait for it': {}, 'Wait for 2 s at most': { wait_ms: 2_000 } },
          answer: ANSWER,
          accepted: {
            answered: 'Ordered, but Tor acts later than `wait_ms`: at `acts_at`.',
            answer: { worker: 'tor01', acts_at: '2026-01-31T12:00:08.500Z' },
          },
          problems: ['worker_not_found', 'conflict', 'worker_unreachable'],
        }),
      },
    },
    async (request, reply) => {
      const { id } = findWorker(backend.workers(), request.params.n)
      const waitMs = waitOf(request.query.wait_ms, request.body?.wait_ms)
      request.workerId = id
      const renewed = await orderNewCircuits({ backend, clock, id, waitMs }, clientSignal(reply))
      return 'acts_at' in renewed ? reply.code(202).send(renewed) : renewed
    },
  )
}

export interface NewCircuitsParts {
  readonly backend: Backend
  readonly clock: Clock
  /** Of the worker. */
  readonly id: string
  readonly waitMs?: number | undefined
}

/** Orders new circuits and waits for Tor to act, unless it will do so later than `waitMs`. */
export async function orderNewCircuits(
  { backend, clock, id, waitMs = DEFAULT_WAIT_MS }: NewCircuitsParts,
  signal: AbortSignal,
): Promise<NewCircuitsBody | NewCircuitsPendingBody> {
  const { actsAt, acted } = backend.newCircuits(id)
  acted.catch(() => {}) // when nobody waits for it
  const isSoon = waitMs > 0 && actsAt - clock.now() <= waitMs
  const renewed = isSoon ? await abortable(within(clock, waitMs, acted), signal) : undefined
  return renewed === undefined ? { worker: id, acts_at: isoTime(actsAt) } : toNewCircuitsBody(id, renewed)
}

function waitOf(inQuery: number | undefined, inBody: number | undefined): number | undefined {
  if (inQuery !== undefined && inBody !== undefined) {
    throw new InputError([{ path: 'wait_ms', message: 'must be in the query or in the body, not in both' }])
  }
  return inQuery ?? inBody
}

const ANSWER: NewCircuitsBody = {
  worker: 'tor01',
  exits_before: [
    {
      nickname: 'exit2',
      fingerprint: 'A1B2C3D4E5F60718293A4B5C6D7E8F9001122334',
      address: '203.0.113.7',
      country: 'de',
    },
  ],
  exits_after: [
    {
      nickname: 'exit5',
      fingerprint: '0F1E2D3C4B5A69788796A5B4C3D2E1F001122334',
      address: '203.0.113.21',
      country: null,
    },
  ],
  exit_changed: true,
  took_ms: 12.4,
}
