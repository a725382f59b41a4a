import type { z } from 'zod'
import type { FetchAnswer } from '../../client/openapi.ts'
import type { Caller, Scope } from '../../domain/caller.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { printable } from '../../lib/printable.ts'
import type { Gateway } from '../../mcp/gateway.ts'
import { demandScope } from '../authenticate.ts'
import type { Backend } from '../backend.ts'
import { findWorker } from '../find-worker.ts'
import { inputErrorOf } from '../problems.ts'
import { orderNewCircuits } from '../routes/new-circuits.ts'
import { toFetchAnswerBody } from '../schemas/fetch-answer.ts'
import { fetchBody, toFetchRequest } from '../schemas/fetch-request.ts'
import { toHealthBody } from '../schemas/pool.ts'
import { toSessionBody } from '../schemas/session.ts'

/** The service as one caller may use it from within, by the rules of the routes that do the same. */
export function backendGateway(backend: Backend, caller: Caller, clock: Clock): Gateway {
  const may = (scope: Scope) => demandScope(caller, scope)
  return {
    async fetch(order, signal = new AbortController().signal) {
      may('fetch')
      const body = checked(fetchBody, order)
      const worker = body.worker === undefined ? undefined : findWorker(backend.workers(), body.worker)
      const answer = await backend.fetch({ ...toFetchRequest(body, caller, worker?.id), via: 'mcp' }, signal)
      return toFetchAnswerBody(answer, body.response_encoding) as FetchAnswer // whose fields are there or not, never undefined
    },
    async rotateSession(key) {
      may('sessions')
      const name = { owner: caller.id, key }
      if (backend.session(name) === undefined) {
        throw new CbtorError(
          'session_not_found',
          `Cannot find session "${printable(key)}": no such sticky key is in use`,
        )
      }
      return toSessionBody(await backend.rotateSession(name))
    },
    async newCircuits(ref, { wait_ms } = {}, signal = new AbortController().signal) {
      may('workers:write')
      const { id } = findWorker(backend.workers(), ref)
      return await orderNewCircuits({ backend, clock, id, waitMs: wait_ms }, signal)
    },
    async health() {
      may('workers:read')
      return toHealthBody(backend.mode(), backend.workers(), backend.problems())
    },
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input, { reportInput: true })
  if (result.success) return result.data
  throw inputErrorOf(result.error.issues)
}
