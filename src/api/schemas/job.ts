import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Caller } from '../../domain/caller.ts'
import {
  JOB_FETCH_STATES,
  JOB_STATES,
  type JobFetch,
  type JobFetchView,
  type JobOrder,
  type JobView,
  type KeptProblem,
  PHASES,
} from '../../domain/job.ts'
import { problemCore } from '../../domain/problem-body.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { InputError, type InputFault } from '../problems.ts'
import { count, instant, oneOf, requestObject, wholeNumber, wholeNumberText } from './common.ts'
import { fetchAnswerBody, toFetchAnswerBody } from './fetch-answer.ts'
import { fetchBody, toFetchRequest } from './fetch-request.ts'
import { problemBody } from './problem.ts'
import { toAttemptBodies, toFailureReceiptBody } from './receipt.ts'

const MAX_FETCHES = 1_000
const MAX_RETRIES = 1_000
const MAX_DEADLINE_S = 30 * 24 * 60 * 60
/** Larger bodies are had one by one. */
export const INLINE_BYTES = 64 * 1024
export const MAX_PAGE = 100

const FETCHES = `must be a list of 1 to ${MAX_FETCHES} fetches`
const NAME = 'must be a string of 1 to 100 characters without control characters'
const SECRET = 'must be 16 to 128 printable ASCII characters'
const WEBHOOK_URL = 'must be an http or https URL of up to 2048 characters'
const STATUSES = 'must be a list of 408, 425, 429, 500, 502, 503 or 504'
const NO_ANSWERS = new Set([408, 425, 429, 500, 502, 503, 504])
const IDEMPOTENCY_KEY = 'must be 1 to 255 printable ASCII characters without blanks'

const retries = wholeNumber(0, MAX_RETRIES).optional()

export const jobOrderBody = requestObject({
  fetches: z
    .array(fetchBody, { error: FETCHES })
    .min(1, { error: FETCHES })
    .max(MAX_FETCHES, { error: FETCHES })
    .describe('What to fetch, each as the body of `POST /api/v1/fetch`.'),
  name: z
    .string({ error: NAME })
    .regex(/^\P{Cc}{1,100}$/u, { error: NAME })
    .refine((text) => text.isWellFormed(), { error: NAME })
    .optional()
    .describe('For people; nobody else looks at it.'),
  retry: requestObject({
    deadline_s: wholeNumber(1, MAX_DEADLINE_S)
      .optional()
      .describe('How long the job may go on, in seconds: what has no answer by then has failed.'),
    retries: requestObject({ descriptor: retries, circuit: retries, http: retries })
      .optional()
      .describe(
        'How many further tries failures are worth, by how far the fetch had come: finding an onion service, making a circuit, the exchange itself.',
      ),
    on_status: z
      .array(z.number({ error: STATUSES }), { error: STATUSES })
      .max(NO_ANSWERS.size, { error: STATUSES })
      .refine((statuses) => statuses.every((status) => NO_ANSWERS.has(status)), { error: STATUSES })
      .optional()
      .describe(
        'Statuses of the target that are no answer: it is asked again as after a failure of the exchange, and not before its `Retry-After`. Idempotent methods only.',
      ),
  })
    .optional()
    .describe('When to try again; what is left out is as the service is configured.'),
  webhook: requestObject({
    url: z
      .string({ error: WEBHOOK_URL })
      .max(2_048, { error: WEBHOOK_URL })
      .regex(/^https?:\/\/[^\s]+$/, { error: WEBHOOK_URL })
      .describe(
        'Where a summary is posted when the job has ended: through Tor, unless the operator has listed the address.',
      ),
    secret: z
      .string({ error: SECRET })
      .regex(/^[\x20-\x7e]{16,128}$/, { error: SECRET })
      .optional()
      .describe('What `CBTOR-Signature` is made with. It is never shown again.'),
  }).optional(),
}).meta({ id: 'JobOrder' })

export type JobOrderBody = z.output<typeof jobOrderBody>

const stage = z.object({ waiting: count, running: count })

export const jobBody = z
  .object({
    id: z.string(),
    owner: z.string().describe('The id of the key that it belongs to.'),
    name: z.string().nullable(),
    state: oneOf(JOB_STATES).describe('`done` says that all fetches have ended, not how.'),
    created_at: instant,
    ended_at: instant.nullable(),
    deadline_at: instant,
    fetches: count,
    counts: z.object({ waiting: count, running: count, done: count, failed: count, cancelled: count }),
    progress: z
      .object({ first: stage, descriptor: stage, circuit: stage, http: stage })
      .describe(
        'Those that wait or run, by what their last failure was about: finding the onion service, a circuit, the exchange; `first` have not failed.',
      ),
    next_try_at: instant
      .nullable()
      .describe('When the first of those that wait is due; in the past when it waits for its turn.'),
    webhook: z
      .object({
        url: z.string(),
        state: oneOf(['idle', 'pending', 'delivered', 'failed']).describe('`idle`: the job has not ended.'),
        tries: count,
        next_try_at: instant.nullable(),
        outcome: z
          .string()
          .nullable()
          .describe('Of the last try: the status of the receiver, or the code of a problem.'),
      })
      .nullable(),
  })
  .meta({ id: 'Job' })

export type JobBody = z.output<typeof jobBody>

const nextCursor = z.string().nullable().describe('`cursor` of the next page; null after the last one.')

export const jobsBody = z.object({ jobs: z.array(jobBody), next_cursor: nextCursor }).meta({ id: 'Jobs' })

const jobProblem = problemBody.omit({ request_id: true, errors: true }).meta({ id: 'JobProblem' })

const jobAnswer = fetchAnswerBody
  .extend({ body: z.string().nullable(), body_encoding: oneOf(['text', 'base64']).nullable() })
  .meta({ id: 'JobAnswer' })

export const jobResultBody = z
  .object({
    n: count.describe('From 0, in the order of `fetches`.'),
    url: z.string(),
    method: z.string(),
    state: oneOf(JOB_FETCH_STATES),
    phase: oneOf(PHASES).nullable().describe('What its last failure was about.'),
    tries: count.describe('Those that this service refused, for a limit or for want of a worker, do not count.'),
    next_try_at: instant.nullable(),
    ended_at: instant.nullable(),
    answer: jobAnswer.nullable().describe('As `POST /api/v1/fetch` answers.'),
    body_bytes: count,
    body_is: oneOf(['here', 'elsewhere', 'removed'])
      .nullable()
      .describe(
        `\`elsewhere\`: larger than ${INLINE_BYTES} bytes, so ask for this result alone. \`removed\`: to make room.`,
      ),
    problem: jobProblem.nullable().describe('Why it failed; of one that waits, why it failed last.'),
  })
  .meta({ id: 'JobResult' })

export type JobResultBody = z.output<typeof jobResultBody>

export const jobResultsBody = z
  .object({ results: z.array(jobResultBody), next_cursor: nextCursor })
  .meta({ id: 'JobResults' })

export type JobsBody = z.output<typeof jobsBody>
export type JobResultsBody = z.output<typeof jobResultsBody>

export const jobOrderHeaders = z.looseObject({
  'idempotency-key': z
    .string({ error: IDEMPOTENCY_KEY })
    .regex(/^[\x21-\x7e]{1,255}$/, { error: IDEMPOTENCY_KEY })
    .optional()
    .describe('With the same key, the same order within 24 hours is the same job; another order is refused.')
    .meta({ examples: ['5d9b7f2e-nightly'] }),
})

export const jobParams = z.object({
  id: z
    .string()
    .describe('The `id` of the job.')
    .meta({ examples: ['job_b0cFqPzq8hYk3n2v'] }),
})

export const jobResultParams = jobParams.extend({
  n: wholeNumberText(0, MAX_FETCHES - 1, '7').describe('Which fetch, from 0.'),
})

const page = {
  limit: wholeNumberText(1, MAX_PAGE, '50').optional().describe('How many at most; 50 when left out.'),
}

export const jobsQuery = requestObject({
  cursor: wholeNumberText(0, Number.MAX_SAFE_INTEGER, '17').optional().describe('`next_cursor` of the page before.'),
  ...page,
  owner: z
    .string()
    .optional()
    .describe("Whose jobs, by the id of the key, or `*` for all; others than one's own take the scope `admin`.")
    .meta({ examples: ['7Kq2mXw0'] }),
})

export const jobResultsQuery = requestObject({
  cursor: wholeNumberText(0, MAX_FETCHES, '50')
    .optional()
    .describe('`next_cursor` of the page before, or the number of a fetch.'),
  ...page,
})

/** `workerOf`: the id of a worker that a fetch names; throws when there is none. Throws all faults at once. */
export function toJobOrder(
  body: JobOrderBody,
  caller: Caller,
  idempotencyKey: string | undefined,
  workerOf: (ref: string | number) => string,
): JobOrder {
  const faults: InputFault[] = []
  const fetches = body.fetches.map((fetch, n): JobFetch => {
    let worker: string | undefined
    try {
      worker = fetch.worker === undefined ? undefined : workerOf(fetch.worker)
    } catch {
      faults.push({
        path: `fetches/${n}/worker`,
        message: 'must be the id or the number of a worker',
        code: 'worker_not_found',
      })
    }
    const { caller: _, ...request } = toFetchRequest(fetch, caller, worker)
    return { request, responseEncoding: fetch.response_encoding }
  })
  if (faults.length > 0) throw new InputError(faults)
  const { name, retry = {}, webhook } = body
  const { deadline_s: deadlineS, retries: maxRetries = {}, on_status: statuses } = retry
  return {
    fetches,
    ...(name !== undefined && { name }),
    retry: {
      ...(deadlineS !== undefined && { deadlineMs: deadlineS * 1_000 }),
      maxRetries: Object.fromEntries(Object.entries(maxRetries).filter(([, value]) => value !== undefined)),
      ...(statuses !== undefined && { statuses }),
    },
    ...(webhook && { webhook: { url: webhook.url, ...(webhook.secret !== undefined && { secret: webhook.secret }) } }),
    ...(idempotencyKey !== undefined && { idempotency: { key: idempotencyKey, digest: digestOf(body) } }),
  }
}

/** The same for bodies that mean the same: defaults are filled in, and fields are in the schema's order. */
function digestOf(body: JobOrderBody): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('base64url')
}

export function toJobBody(job: JobView): JobBody {
  const { id, owner, name, state, createdAt, endedAt, deadlineAt, fetches, tally, webhook } = job
  const { waiting, running, done, failed, cancelled, nextAt } = tally
  const stageOf = (phase: keyof typeof waiting) => ({ waiting: waiting[phase], running: running[phase] })
  return {
    ...{ id, owner, state, fetches },
    name: name ?? null,
    created_at: isoTime(createdAt),
    ended_at: timeOf(endedAt),
    deadline_at: isoTime(deadlineAt),
    counts: { waiting: sumOf(waiting), running: sumOf(running), done, failed, cancelled },
    progress: {
      first: stageOf('first'),
      descriptor: stageOf('descriptor'),
      circuit: stageOf('circuit'),
      http: stageOf('http'),
    },
    next_try_at: timeOf(nextAt),
    webhook: webhook
      ? {
          ...{ url: webhook.url, state: webhook.state, tries: webhook.tries },
          next_try_at: timeOf(webhook.nextAt),
          outcome: webhook.outcome ?? null,
        }
      : null,
  }
}

export function toJobResultBody(fetch: JobFetchView): JobResultBody {
  const { n, url, method, state, phase, tries, nextAt, endedAt, bodyBytes, problem } = fetch
  return {
    ...{ n, url, method, state, tries },
    phase: phase ?? null,
    next_try_at: timeOf(nextAt),
    ended_at: timeOf(endedAt),
    answer: toJobAnswer(fetch),
    body_bytes: bodyBytes,
    body_is: bodyIs(fetch.body),
    problem: problem ? toJobProblem(problem) : null,
  }
}

function toJobAnswer({ answer, body, responseEncoding }: JobFetchView): JobResultBody['answer'] {
  if (answer === undefined) return null
  const isHere = body instanceof Uint8Array
  const whole = toFetchAnswerBody({ ...answer, body: isHere ? body : new Uint8Array() }, responseEncoding)
  return isHere ? whole : { ...whole, body: null, body_encoding: null }
}

function bodyIs(body: JobFetchView['body']): JobResultBody['body_is'] {
  if (body === undefined) return null
  if (body === 'removed') return 'removed'
  return body === 'too-large' ? 'elsewhere' : 'here'
}

function toJobProblem({ code, message, attempts, redirects, receipt }: KeptProblem): z.output<typeof jobProblem> {
  return {
    ...problemCore(code, message),
    ...(attempts.length > 0 && { attempts: toAttemptBodies(attempts) }),
    ...(redirects.length > 0 && { redirects: [...redirects] }),
    ...(receipt && { receipt: toFailureReceiptBody(receipt) }),
  }
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, each) => sum + each, 0)
}

function timeOf(at: number | undefined): string | null {
  return at === undefined ? null : isoTime(at)
}
