import { z } from 'zod'
import type { Caller } from '../../domain/caller.ts'
import { type FetchRequest, ON_LOSS } from '../../domain/exchange.ts'
import type { ExitRule } from '../../domain/identity.ts'
import { MAX_TEXT_BYTES } from '../answer-body.ts'
import { country, flag, isolation, mode, oneOf, requestObject, stickyKey, wholeNumber, workerRef } from './common.ts'
import { idempotencyKey } from './idempotency.ts'

const MAX_URL_CHARACTERS = 8_192
const MAX_SESSION_TTL_S = 7 * 24 * 60 * 60
const WELL_FORMED = 'must not contain half of a surrogate pair: it has no encoding in UTF-8'

const MAX_EXCLUDED_COUNTRIES = 50
const EXCLUDED = `must be a list of 1 to ${MAX_EXCLUDED_COUNTRIES} codes of countries`

const METHOD =
  'must be an HTTP method: 1 to 32 letters, digits or signs of RFC 9110 section 5.6.2, not CONNECT or TRACE'
const method = z
  .string({ error: METHOD })
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/, { error: METHOD })
  .toUpperCase()
  .refine((name) => name !== 'CONNECT' && name !== 'TRACE', { error: METHOD })

const HEADERS = 'must be an object of header names, each with a string, a list of strings or null'
const HEADER_VALUE = 'must be a string, a list of strings, or null for one that is not to be sent'
const headerValue = z.union([z.string(), z.array(z.string()), z.null()], { error: HEADER_VALUE })

const URL_TEXT = `must be the URL to fetch, a string of 1 to ${MAX_URL_CHARACTERS} characters`

/** The fields of a fetch. */
export const fetchShape = {
  url: z
    .string({ error: URL_TEXT })
    .min(1, { error: URL_TEXT })
    .max(MAX_URL_CHARACTERS, { error: URL_TEXT })
    .refine((text) => text.isWellFormed(), { error: WELL_FORMED })
    .describe('An http or https URL: clearnet or `.onion`.'),
  method: method.default('GET').describe('The HTTP method; made upper-case.'),
  headers: z
    .record(z.string(), headerValue, { error: HEADERS })
    .optional()
    .describe(
      'Headers to send, each with a value or a list of values. They replace the neutral ones of that name; null leaves a neutral one out. Hop-by-hop and forwarding headers are refused.',
    ),
  body: z
    .string({ error: 'must be a string' })
    .refine((text) => text.isWellFormed(), { error: WELL_FORMED })
    .optional()
    .describe('What to send; not with GET or HEAD.'),
  body_encoding: oneOf(['text', 'base64']).default('text').describe('How `body` is written: as UTF-8 text or base64.'),
  timeout_ms: wholeNumber(500, 300_000)
    .default(60_000)
    .describe('The whole budget in milliseconds: waiting, connecting, redirects, other workers and the body.'),
  max_bytes: wholeNumber(1, 104_857_600)
    .default(10_485_760)
    .describe('The largest body to accept, counted after decompression. A larger one is an error.'),
  allow_truncated: flag()
    .default(false)
    .describe('Cut a body that is larger than `max_bytes`, and say so in the receipt, instead of failing.'),
  circuit_path: flag()
    .default(false)
    .describe('Tell all relays of the circuit in the receipt, and not the exit alone.'),
  follow_redirects: flag().default(true).describe('Follow redirects, inside the same identity.'),
  max_redirects: wholeNumber(0, 10).default(10),
  allow_downgrade: flag().default(false).describe('Follow a redirect from https to http.'),
  allow_onion_to_clearnet: flag().default(false).describe('Follow a redirect from an onion service to the clearnet.'),
  mode: mode.optional().describe("How to choose a worker for this request, instead of by the pool's mode."),
  sticky_key: stickyKey
    .optional()
    .describe(
      'Names a session that keeps its worker, circuit, exit address and connections. Implies the mode `sticky`. Tor never sees the key.',
    ),
  on_loss: oneOf(ON_LOSS)
    .optional()
    .describe(
      'What becomes of the session when its worker is lost: `migrate` (the default) takes another worker and says so by `session_moved`; `fail` answers `session_worker_lost`.',
    )
    .meta({ default: 'migrate' }),
  session_ttl_s: wholeNumber(1, MAX_SESSION_TTL_S)
    .optional()
    .describe(
      'How many seconds the session may go unused before it ends, instead of as many as the service is configured for.',
    ),
  country: country
    .optional()
    .describe(
      "Leave Tor by an exit in this country only, by Tor's own GeoIP database: two lower-case letters. Who leaves by one of few exits is easier to recognise, so there must be enough of them that take the port, or it is `no_exit_for_country_port`. Not for onion services and IPv6 addresses.",
    ),
  exclude_countries: z
    .array(country, { error: EXCLUDED })
    .min(1, { error: EXCLUDED })
    .max(MAX_EXCLUDED_COUNTRIES, { error: EXCLUDED })
    .optional()
    .describe('Leave Tor by no exit in these countries, nor by one of which nobody knows where it is.'),
  distinct_from: stickyKey
    .optional()
    .describe(
      "The `sticky_key` of another session, whose exit this request is not to leave by, nor by another of that relay's family or address. That session must have been used before.",
    ),
  hedge: flag()
    .default(false)
    .describe(
      'Ask a second worker, too, when the first takes long; the first answer wins. For GET and HEAD without `sticky_key` or `worker`. Shows the URL to two exits.',
    ),
  isolation: isolation
    .optional()
    .describe(
      'What shares circuits and connections when there is no `sticky_key`. `destination` (the default): requests to the same host; `request`: nothing, fresh circuits for this request; `none`: every such request.',
    )
    .meta({ default: 'destination' }),
  worker: workerRef.optional().describe('Use this worker only, by id or number; no other is tried.'),
  response_encoding: oneOf(['auto', 'text', 'base64'])
    .default('auto')
    .describe(
      `How to write the body of the answer. \`auto\`: text when its type is textual and its charset decodes without an error, else base64; \`text\`: always text, faulty bytes replaced, for \`max_bytes\` up to ${MAX_TEXT_BYTES}.`,
    ),
}

const fields = requestObject(fetchShape)

export type FetchBody = z.output<typeof fields>

/** What is left out is as by default, or, of `max_bytes`, without a limit. */
export type FetchFields = Omit<FetchBody, 'body_encoding' | 'response_encoding' | 'max_bytes'> &
  Partial<Pick<FetchBody, 'body_encoding' | 'response_encoding'>> & { readonly max_bytes?: number | undefined }

export const fetchBody = fields
  .superRefine(addContradictions, { when: ({ value }) => typeof value === 'object' && value !== null })
  .meta({ id: 'Fetch' })

export const fetchHeaders = z.looseObject({
  'idempotency-key': idempotencyKey
    .optional()
    .describe(
      'With the same key, the same request within five minutes is answered as the first one was, also while that is running, and fetched once. It goes on when its client has gone.',
    )
    .meta({ examples: ['5d9b7f2e-order-17'] }),
})

/** Faults of fields together. Runs also when single fields are faulty, so that all faults are told at once. */
export function addContradictions(body: FetchFields, context: z.RefinementCtx): void {
  const params = { problem: 'invalid_input' } // each of the fields is well by itself
  const fault = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message, params })
  if (body.sticky_key !== undefined && body.mode !== undefined && body.mode !== 'sticky') {
    fault('mode', 'must be sticky, or be left out, when there is a sticky_key: only sticky keeps its worker')
  }
  if (body.sticky_key !== undefined && body.isolation !== undefined) {
    fault('isolation', 'must be left out when there is a sticky_key: the key alone says what is shared')
  }
  for (const field of ['on_loss', 'session_ttl_s'] as const) {
    if (body[field] !== undefined && body.sticky_key === undefined) {
      fault(field, 'must be left out when there is no sticky_key: it is about the session that the key names')
    }
  }
  if (body.country !== undefined && listOf(body.exclude_countries).includes(body.country)) {
    fault('exclude_countries', 'must not have the country in it that country names: no exit is left')
  }
  if (body.distinct_from !== undefined && body.distinct_from === body.sticky_key) {
    fault('distinct_from', 'must be the key of another session than sticky_key: none is distinct from itself')
  }
  if (body.hedge === true && body.method !== 'GET' && body.method !== 'HEAD') {
    fault('hedge', `must be false with ${body.method}: only GET and HEAD may be sent twice`)
  }
  if (body.hedge === true && (body.sticky_key !== undefined || body.worker !== undefined)) {
    fault('hedge', 'must be false when there is a sticky_key or a worker: no other worker is asked then')
  }
  if (body.body !== undefined && (body.method === 'GET' || body.method === 'HEAD')) {
    fault('body', `must be left out with ${body.method}, or another method be named`)
  }
  if (body.body_encoding === 'base64' && typeof body.body === 'string' && !isBase64(body.body)) {
    fault('body', 'must be base64 with padding (RFC 4648 section 4), as body_encoding says')
  }
  if (body.response_encoding === 'text' && (body.max_bytes ?? 0) > MAX_TEXT_BYTES) {
    fault('response_encoding', `must be auto or base64 when max_bytes is more than ${MAX_TEXT_BYTES}`)
  }
}

/** A field that is faulty is anything. */
function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text
}

/** `workerId`: the worker that `body.worker` names. */
export function toFetchRequest(body: FetchFields, caller: Caller, workerId: string | undefined): FetchRequest {
  const chosenMode = body.sticky_key === undefined ? body.mode : 'sticky'
  const exitRule = exitRuleOf(body)
  const removed = Object.entries(body.headers ?? {}).flatMap(([name, value]) => (value === null ? name : []))
  return {
    caller,
    url: body.url,
    method: body.method,
    headers: Object.entries(body.headers ?? {}).flatMap(([name, value]) =>
      value === null ? [] : [value].flat().map((each) => [name, each] as const),
    ),
    ...(removed.length > 0 && { withoutHeaders: removed }),
    ...(body.body !== undefined && {
      body: Buffer.from(body.body, body.body_encoding === 'base64' ? 'base64' : 'utf8'),
    }),
    timeoutMs: body.timeout_ms,
    maxBytes: body.max_bytes ?? Number.POSITIVE_INFINITY,
    ...(body.allow_truncated && { allowTruncated: true }),
    ...(body.circuit_path && { circuitPath: true }),
    followRedirects: body.follow_redirects,
    maxRedirects: body.max_redirects,
    allowDowngrade: body.allow_downgrade,
    allowOnionToClearnet: body.allow_onion_to_clearnet,
    isolation: body.isolation ?? 'destination',
    ...(body.sticky_key !== undefined && { stickyKey: body.sticky_key }),
    ...(body.on_loss !== undefined && { onLoss: body.on_loss }),
    ...(body.session_ttl_s !== undefined && { sessionTtlMs: body.session_ttl_s * 1_000 }),
    ...(body.hedge && { hedge: true }),
    ...(exitRule && { exitRule }),
    ...(chosenMode !== undefined && { mode: chosenMode }),
    ...(workerId !== undefined && { workerId }),
  }
}

function exitRuleOf(body: FetchFields): ExitRule | undefined {
  const { country, exclude_countries: excludeCountries, distinct_from: distinctFrom } = body
  if (country === undefined && excludeCountries === undefined && distinctFrom === undefined) return undefined
  return {
    ...(country !== undefined && { country }),
    ...(excludeCountries !== undefined && { excludeCountries }),
    ...(distinctFrom !== undefined && { distinctFrom }),
  }
}
