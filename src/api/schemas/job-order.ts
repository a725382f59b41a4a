import { z } from 'zod'
import type { Caller } from '../../domain/caller.ts'
import type { JobFetch, JobOrder } from '../../domain/job.ts'
import { InputError, type InputFault } from '../problems.ts'
import { requestObject, wholeNumber } from './common.ts'
import { fetchBody, toFetchRequest } from './fetch-request.ts'
import { digestOf, idempotencyKey } from './idempotency.ts'

export const MAX_FETCHES = 1_000
const MAX_RETRIES = 1_000
const MAX_DEADLINE_S = 30 * 24 * 60 * 60

const FETCHES = `must be a list of 1 to ${MAX_FETCHES} fetches`
const NAME = 'must be a string of 1 to 100 characters, none of which controls or ends a line or turns its direction'
const SECRET = 'must be 16 to 128 printable ASCII characters; what begins with whsec_ must go on in base64'
const WEBHOOK_URL = 'must be an http or https URL of up to 2048 characters'
const STATUSES = 'must be a list of 408, 425, 429, 500, 502, 503 or 504'
const NO_ANSWERS = new Set([408, 425, 429, 500, 502, 503, 504])

const retries = wholeNumber(0, MAX_RETRIES).optional()

export const jobOrderBody = requestObject({
  fetches: z
    .array(fetchBody, { error: FETCHES })
    .min(1, { error: FETCHES })
    .max(MAX_FETCHES, { error: FETCHES })
    .describe('What to fetch, each as the body of `POST /api/v1/fetch`.'),
  name: z
    .string({ error: NAME })
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]{1,100}$/u, { error: NAME })
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
      .regex(/^(?:whsec_[A-Za-z0-9+/]{16,122}={0,2}|(?!whsec_)[\x20-\x7e]{16,128})$/, { error: SECRET })
      .optional()
      .describe('What `webhook-signature` is made with: text, or `whsec_` and base64. It is never shown again.'),
  }).optional(),
}).meta({ id: 'JobOrder' })

export type JobOrderBody = z.output<typeof jobOrderBody>

export const jobOrderHeaders = z.looseObject({
  'idempotency-key': idempotencyKey
    .optional()
    .describe('With the same key, the same order within 24 hours is the same job; another order is refused.')
    .meta({ examples: ['5d9b7f2e-nightly'] }),
})

/** `workerOf`: the id of a worker that a fetch names; throws when there is none. Throws all faults at once. */
export function toJobOrder(
  body: JobOrderBody,
  caller: Caller,
  key: string | undefined,
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
    ...(key !== undefined && { idempotency: { key, digest: digestOf(body) } }),
  }
}
