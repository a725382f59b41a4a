import { CbtorError } from '../domain/errors.ts'
import { problemCore } from '../domain/problem-body.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { printable } from '../lib/printable.ts'
import { toAttemptBodies } from './schemas/fetch-answer.ts'
import type { ProblemBody } from './schemas/problem.ts'

/** What is wrong with one field: `message` completes a sentence that begins with the field's name. */
export interface InputFault {
  /** `timeout_ms`, `headers/x-a`; empty for the request as a whole. */
  readonly path: string
  readonly message: string
}

/** More are not told: the first ones show what kind of thing was expected. */
const MAX_FAULTS = 32
const MAX_DETAIL = 600

/** A request that can be read but not be meant: all its faults at once. */
export class InputError extends CbtorError {
  readonly faults: readonly InputFault[]

  constructor(faults: readonly InputFault[]) {
    const shown = faults
      .slice(0, MAX_FAULTS)
      .map(({ path, message }) => ({ path: printable(path), message: printable(message, MAX_DETAIL) }))
    const [first = { path: '', message: 'is not valid' }, ...others] = shown
    const more = others.length === 0 ? '' : ` (and ${others.length} more, see errors)`
    super('invalid_input', `Cannot take the request: ${first.path || 'its body'} ${first.message}${more}`)
    this.faults = shown
  }
}

/** One fault of the validator: JSON Schema's words, as Fastify asks for them. */
interface ValidationFault {
  readonly keyword: string
  readonly instancePath: string
  readonly message?: string | undefined
  readonly params: Readonly<Record<string, unknown>>
}

export function inputErrorOf(validation: readonly ValidationFault[]): InputError {
  const faults = validation.flatMap(({ keyword, instancePath, message = '', params }) => {
    const path = instancePath.slice(1)
    const unknown = keyword === 'unrecognized_keys' && Array.isArray(params.keys) ? params.keys : undefined
    return unknown ? unknown.map((key) => ({ path: String(key), message })) : [{ path, message }]
  })
  // One sentence says all of what is right, so a field that fails two of its rules is told once.
  const once = new Map(faults.map((fault) => [`${fault.path}\n${fault.message}`, fault]))
  return new InputError([...once.values()])
}

/** Fastify's own errors in our words, by their code; those of what it sends files with have only a name. */
const OF_FASTIFY: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: [
    'invalid_json',
    'Cannot read the request body: it is not valid JSON, or an object in it has a key __proto__ or constructor',
  ],
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'Cannot read the request body: it is larger than 1 MiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported_media_type',
    'Cannot read the request body: it must be application/json, in UTF-8',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'http_invalid',
    'Cannot read the request body: its size is not what Content-Length says',
  ],
  FST_ERR_BAD_URL: ['not_found', 'Cannot find the resource: its path is not validly percent-encoded'],
  FST_STATIC_FORBIDDEN_PATH: ['not_found', 'Cannot find the resource: no file can have this path'],
  BadRequestError: ['not_found', 'Cannot find the resource: no file can have this path'],
  FST_ERR_MAX_PARAM_LENGTH: ['not_found', 'Cannot find the resource: its path is too long'],
}

/** The problem that an error tells. Undefined when it is none of ours nor a known one of Fastify: a bug. */
export function problemOf(error: unknown): CbtorError | undefined {
  if (error instanceof CbtorError) return error
  if (!(error instanceof Error)) return undefined
  const known = OF_FASTIFY['code' in error && typeof error.code === 'string' ? error.code : error.name]
  return known && new CbtorError(known[0], known[1], { cause: error })
}

export function problemBody(error: CbtorError, requestId: string): ProblemBody {
  return {
    ...problemCore(error.code, printable(error.message, MAX_DETAIL)),
    request_id: requestId,
    ...(error.attempts.length > 0 && { attempts: toAttemptBodies(error.attempts) }),
    ...(error.redirects.length > 0 && { redirects: [...error.redirects] }),
    ...(error instanceof InputError && { errors: [...error.faults] }),
  }
}

/** Seconds for Retry-After, which has no finer unit; never 0, which would mean at once. */
export function retryAfterSeconds(retryAfterMs: number): number {
  return Math.max(1, Math.ceil(retryAfterMs / 1_000))
}
