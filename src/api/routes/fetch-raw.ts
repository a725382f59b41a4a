import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { StreamedAnswer } from '../../domain/exchange.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { cameBy } from '../came-by.ts'
import { clientSignal } from '../client-signal.ts'
import { documented, type RouteNotes } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { sendRaw } from '../raw-answer.ts'
import { fetchRawBody, fetchRawQuery } from '../schemas/fetch-raw-request.ts'
import { type FetchFields, toFetchRequest } from '../schemas/fetch-request.ts'
import { FETCH_PROBLEMS } from './fetch.ts'

const NOTES: Omit<RouteNotes, 'problems'> = {
  answered: "The target's answer. Its status is the target's, too: any, and not only 200.",
  answer: '%PDF-1.7 ...',
}
const REQUESTS = {
  'A large file': { url: 'https://example.com/file.tar.gz', timeout_ms: 120_000 },
  'The first MiB of it, uncompressed': {
    url: 'https://example.com/file.tar',
    headers: { 'accept-encoding': 'identity' },
    max_bytes: 1_048_576,
    allow_truncated: true,
  },
}

const PATH = '/api/v1/fetch/raw'
const DESCRIPTION =
  "As `/api/v1/fetch`, but the answer is the target's own: its status, and its body as it comes over the wire, still compressed if it was. `CBTOR-Delivered: 1` tells it from a problem of ours, which has `CBTOR-Error`. The receipt is in `CBTOR-*` headers and, behind the body, trailers. Of the target's headers, those that describe the body come through; every other one, such as `Location` and `Set-Cookie`, comes as `CBTOR-Target-...`, so that nobody acts on it by mistake. A body that is not whole breaks the connection off."

export function fetchRawRoutes(app: ApiApp, backend: Backend, clock: Clock): void {
  const response = { 200: { content: { '*/*': { schema: z.string() } } } }

  app.get(
    PATH,
    {
      exposeHeadRoute: false, // it would fetch the whole of it
      schema: {
        tags: ['Core'],
        operationId: 'fetchRaw',
        summary: 'Fetch a URL anonymously via Tor, as a stream',
        description: `${DESCRIPTION} Sends nothing but neutral headers: with others, or a body, it takes a POST.`,
        querystring: fetchRawQuery,
        response,
        ...documented({ ...NOTES, problems: ['invalid_input', 'unknown_field', ...FETCH_PROBLEMS] }),
      },
    },
    async (request, reply) => {
      const answer = await stream(request.query, request, clientSignal(reply))
      await sendRaw(reply, answer, clock)
    },
  )

  app.post(
    PATH,
    {
      schema: {
        tags: ['Core'],
        operationId: 'fetchRawByPost',
        summary: 'Fetch a URL anonymously via Tor, as a stream, with headers and a body of your own',
        description: DESCRIPTION,
        body: fetchRawBody,
        response,
        ...documented({ ...NOTES, requests: REQUESTS, problems: FETCH_PROBLEMS }),
      },
    },
    async (request, reply) => {
      const answer = await stream(request.body, request, clientSignal(reply))
      await sendRaw(reply, answer, clock)
    },
  )

  async function stream(fields: FetchFields, request: FastifyRequest, signal: AbortSignal): Promise<StreamedAnswer> {
    const worker = fields.worker === undefined ? undefined : findWorker(backend.workers(), fields.worker)
    const wanted = { ...toFetchRequest(fields, request.caller, worker?.id), ...cameBy('raw', request.headers) }
    const answer = await backend.stream(wanted, signal)
    request.workerId = answer.worker
    return answer
  }
}
