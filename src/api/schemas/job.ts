import { z } from 'zod'
import {
  JOB_FETCH_STATES,
  JOB_STATES,
  type JobFetchView,
  type JobView,
  type KeptProblem,
  PHASES,
} from '../../domain/job.ts'
import { problemCore } from '../../domain/problem-body.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { count, instant, oneOf, requestObject, wholeNumberText } from './common.ts'
import { fetchAnswerBody, toFetchAnswerBody } from './fetch-answer.ts'
import { MAX_FETCHES } from './job-order.ts'
import { problemBody } from './problem.ts'
import { toAttemptBodies, toFailureReceiptBody } from './receipt.ts'

/** Larger bodies are had one by one. */
export const INLINE_BYTES = 64 * 1024
export const MAX_PAGE = 100

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
