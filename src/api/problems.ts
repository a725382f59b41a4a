import type { z } from 'zod'
import { CbtorError } from '../domain/errors.ts'
import { problemCore } from '../domain/problem-body.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import { printable } from '../lib/printable.ts'
import type { ProblemBody } from './schemas/problem.ts'
import { toAttemptBodies, toFailureReceiptBody } from './schemas/receipt.ts'

/** What is wrong with one field: `message` completes a sentence that begins with the field's name. */
export interface InputFault {
  /** `timeout_ms`, `headers/x-a`; empty for the request as a whole. */
  readonly path: string
  readonly message: string
  /** `invalid_input` when left out. */
  readonly code?: ProblemCode
}

/** More are not told: the first ones show what kind of thing was expected. */
const MAX_FAULTS = 32
const MAX_DETAIL = 600

/** A request that can be read but not be meant: all its faults at once. Its code is theirs, if they have one in common. */
export class InputError extends CbtorError {
  readonly faults: readonly Required<InputFault>[]

  /** `attempted`: how the sentence begins that the first fault ends. */
  constructor(faults: readonly InputFault[], attempted = 'Cannot take the request') {
    const shown = faults.slice(0, MAX_FAULTS).map(({ path, message, code = 'invalid_input' }) => ({
      ...{ path: printable(path), message: printable(message, MAX_DETAIL), code },
    }))
    const [first = { path: '', message: 'is not valid' }, ...others] = shown
    const more = others.length === 0 ? '' : ` (and ${others.length} more, see errors)`
    const [code = 'invalid_input', ...otherCodes] = new Set(faults.map((fault) => fault.code ?? 'invalid_input'))
    super(
      otherCodes.length === 0 ? code : 'invalid_input',
      `${attempted}: ${first.path || 'its body'} ${first.message}${more}`,
    )
    this.faults = shown
  }
}

/** What the validator finds, with `input`, which it leaves out unless it is asked for it. */
type Issue = z.core.$ZodIssue

/** Fields that mean the same in every request, and what their faults are. A fault that is none of these says so in its params. */
const CODE_OF_FIELD: Readonly<Record<string, ProblemCode>> = {
  headers: 'header_invalid',
  timeout_ms: 'timeout_range',
  sticky_key: 'session_invalid',
  distinct_from: 'session_invalid',
  country: 'country_invalid',
  exclude_countries: 'country_invalid',
}

export function inputErrorOf(issues: readonly Issue[]): InputError {
  // One sentence says all of what is right, so a field that fails two of its rules is told once.
  const once = new Map<string, InputFault>()
  for (const fault of faultsOf(issues)) {
    once.set(`${fault.path}\n${fault.message}`, fault)
    if (once.size === MAX_FAULTS) break // of hundreds of thousands, to read the others would take seconds
  }
  return new InputError([...once.values()])
}

function* faultsOf(issues: readonly Issue[]): Generator<InputFault, void> {
  for (const issue of issues) {
    const { path, message } = issue
    if (issue.code !== 'unrecognized_keys') yield { path: path.join('/'), message, code: codeOf(issue) }
    else for (const key of issue.keys) yield { path: [...path, key].join('/'), message, code: 'unknown_field' }
  }
}

function codeOf(issue: Issue): ProblemCode {
  if (issue.code === 'custom' && isProblemCode(issue.params?.problem)) return issue.params.problem
  // The outermost one: what is inside of `headers` is named by the caller.
  const field = issue.path.map(String).find((name) => name === 'url' || Object.hasOwn(CODE_OF_FIELD, name))
  if (field === undefined) return 'invalid_input'
  return CODE_OF_FIELD[field] ?? codeOfUrl(issue)
}

function codeOfUrl({ code, input }: Issue): ProblemCode {
  switch (code) {
    case 'invalid_type':
      return input === undefined ? 'url_required' : 'url_type'
    case 'too_small':
      return 'url_required'
    case 'too_big':
      return 'url_too_long'
    default:
      return 'url_invalid'
  }
}

function isProblemCode(value: unknown): value is ProblemCode {
  return typeof value === 'string' && Object.hasOwn(PROBLEMS, value)
}

/** Fastify's own errors in our words, by their code; those of what it sends files with have only a name. */
const OF_FASTIFY: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_json', 'Cannot read the request body: it is not valid JSON'],
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'payload_too_large',
    'Cannot read the request body: it is larger than 1 MiB, or 4 MiB of a job',
  ],
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
    ...(error.receipt && { receipt: toFailureReceiptBody(error.receipt) }),
    ...(error instanceof InputError && { errors: [...error.faults] }),
  }
}

/** Seconds for Retry-After, which has no finer unit; never 0, which would mean at once. */
export function retryAfterSeconds(retryAfterMs: number): number {
  return Math.max(1, Math.ceil(retryAfterMs / 1_000))
}
