import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { refuseBody } from '../refuse-body.ts'
import {
  INLINE_BYTES,
  jobBody,
  jobParams,
  jobResultBody,
  jobResultParams,
  jobResultsBody,
  jobResultsQuery,
  jobsBody,
  jobsQuery,
  MAX_PAGE,
  toJobBody,
  toJobResultBody,
} from '../schemas/job.ts'
import { jobOrderBody, jobOrderHeaders, toJobOrder } from '../schemas/job-order.ts'
import { FAILED, JOB, REQUESTS, RESULT } from './job-example.ts'

/**
 * A thousand fetches of 4 KiB each, with headers and bodies. It is read, checked and written down at one go, which takes up to 150 ms
 * in which nobody else is served: hence no more.
 */
const MAX_ORDER_BYTES = 4 * 1024 * 1024
const DEFAULT_LIMIT = MAX_PAGE / 2

export function jobRoutes(app: ApiApp, backend: Pick<Backend, 'jobs' | 'workers'>): void {
  const { jobs } = backend
  app.post(
    '/api/v1/jobs',
    {
      bodyLimit: MAX_ORDER_BYTES,
      schema: {
        tags: ['Jobs'],
        operationId: 'submitJob',
        summary: 'Fetch up to 1,000 URLs, for as long as it takes',
        description:
          'For onion services that are slow, or down for hours: answers at once, fetches as the caller within its limits, and tries again by how far a fetch had come. Outlasts restarts; a request that may have been sent and is not idempotent is never sent again. The body may have 4 MiB. With `Idempotency-Key`, the same order within 24 hours is the same job.',
        headers: jobOrderHeaders,
        body: jobOrderBody,
        response: { 200: jobBody, 202: jobBody },
        ...documented({
          answered: 'It had been ordered before, with the same `Idempotency-Key`: the job as it is now.',
          requests: REQUESTS,
          answer: JOB,
          accepted: { answered: 'The job; `Location` says where it is.', answer: JOB },
          problems: [
            ...([
              'url_required',
              'url_type',
              'url_too_long',
              'url_invalid',
              'unknown_field',
              'header_invalid',
            ] as const),
            ...(['timeout_range', 'session_invalid', 'country_invalid', 'worker_not_found'] as const),
            ...([
              'target_forbidden',
              'port_not_allowed',
              'job_not_found',
              'idempotency_key_reused',
              'too_many_jobs',
              'store_unavailable',
            ] as const),
          ],
        }),
      },
    },
    async (request, reply) => {
      const { body, caller, headers } = request
      const workerOf = (ref: string | number) => findWorker(backend.workers(), ref).id
      const { job, isNew } = await jobs.submit(caller, toJobOrder(body, caller, headers['idempotency-key'], workerOf))
      reply.header('location', `/api/v1/jobs/${job.id}`)
      return reply.code(isNew ? 202 : 200).send(toJobBody(job))
    },
  )

  app.get(
    '/api/v1/jobs',
    {
      schema: {
        tags: ['Jobs'],
        operationId: 'listJobs',
        summary: 'List the jobs',
        description: "The caller's own, the newest first.",
        querystring: jobsQuery,
        response: { 200: jobsBody },
        ...documented({
          answered: 'Some of the jobs.',
          answer: { jobs: [JOB], next_cursor: null },
          problems: ['invalid_input', 'scope_missing', 'store_unavailable'],
        }),
      },
    },
    async ({ caller, query }) => {
      const { cursor: before, limit = DEFAULT_LIMIT, owner } = query
      const { items, next } = await jobs.list(caller, {
        limit,
        ...(before !== undefined && { before }),
        ...(owner !== undefined && { owner }),
      })
      return { jobs: items.map(toJobBody), next_cursor: next === undefined ? null : String(next) }
    },
  )

  app.get(
    '/api/v1/jobs/:id',
    {
      schema: {
        tags: ['Jobs'],
        operationId: 'getJob',
        summary: 'Get a job',
        description: 'How far it has come.',
        params: jobParams,
        response: { 200: jobBody },
        ...documented({ answered: 'The job.', answer: JOB, problems: ['job_not_found', 'store_unavailable'] }),
      },
    },
    async ({ caller, params }) => toJobBody(await jobs.get(caller, params.id)),
  )

  app.get(
    '/api/v1/jobs/:id/results',
    {
      schema: {
        tags: ['Jobs'],
        operationId: 'listJobResults',
        summary: 'List the results of a job',
        description: `In the order of the fetches, also of those that have not ended. Bodies of more than ${INLINE_BYTES / 1024} KiB are left out.`,
        params: jobParams,
        querystring: jobResultsQuery,
        response: { 200: jobResultsBody },
        ...documented({
          answered: 'Some of the results.',
          answer: { results: [RESULT, FAILED], next_cursor: null },
          problems: ['invalid_input', 'job_not_found', 'store_unavailable'],
        }),
      },
    },
    async ({ caller, params, query }) => {
      const { cursor: from = 0, limit = DEFAULT_LIMIT } = query
      const { items, next } = await jobs.results(caller, params.id, { from, limit, maxBodyBytes: INLINE_BYTES })
      return { results: items.map(toJobResultBody), next_cursor: next === undefined ? null : String(next) }
    },
  )

  app.get(
    '/api/v1/jobs/:id/results/:n',
    {
      schema: {
        tags: ['Jobs'],
        operationId: 'getJobResult',
        summary: 'Get one result of a job',
        description: 'With its whole body.',
        params: jobResultParams,
        response: { 200: jobResultBody },
        ...documented({
          answered: 'The result.',
          answer: RESULT,
          problems: ['invalid_input', 'job_not_found', 'not_found', 'store_unavailable'],
        }),
      },
    },
    async ({ caller, params }) => toJobResultBody(await jobs.result(caller, params.id, params.n)),
  )

  app.post(
    '/api/v1/jobs/:id/cancel',
    {
      schema: {
        tags: ['Jobs'],
        operationId: 'cancelJob',
        summary: 'Cancel a job',
        description:
          'Running fetches end at once, waiting ones are dropped, results so far stay. Safe on a job that has ended.',
        params: jobParams,
        response: { 200: jobBody },
        ...documented({
          answered: 'The job as it is now.',
          answer: { ...JOB, state: 'cancelled' },
          problems: ['invalid_input', 'unsupported_media_type', 'job_not_found', 'store_unavailable'],
        }),
      },
      preValidation: async (request) => refuseBody(request.body),
    },
    async ({ caller, params }) => toJobBody(await jobs.cancel(caller, params.id)),
  )

  app.delete(
    '/api/v1/jobs/:id',
    {
      schema: {
        tags: ['Jobs'],
        operationId: 'removeJob',
        summary: 'Remove a job that has ended',
        description: 'With its results. One that has not ended has to be cancelled first.',
        params: jobParams,
        response: { 200: jobBody },
        ...documented({
          answered: 'The job, as it was.',
          answer: { ...JOB, state: 'done' },
          problems: ['invalid_input', 'unsupported_media_type', 'job_not_found', 'conflict', 'store_unavailable'],
        }),
      },
      preValidation: async (request) => refuseBody(request.body),
    },
    async ({ caller, params }) => toJobBody(await jobs.remove(caller, params.id)),
  )
}
