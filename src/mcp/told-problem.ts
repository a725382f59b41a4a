import { ApiProblem, ApiUnreachable } from '../client/api-problem.ts'
import { CbtorError } from '../domain/errors.ts'
import { type Fault, PROBLEMS } from '../domain/problems.ts'
import { printable } from '../lib/printable.ts'

/** Messages may quote what a caller has sent. */
const MAX_DETAIL = 600

/** A problem of the service, whichever way it came here. */
export interface ToldProblem {
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly fault: Fault
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined
}

const WHOSE: Readonly<Record<Fault, string>> = {
  caller: 'the request',
  policy: 'a rule that the operator has set',
  service: 'this service',
  worker: 'a worker, or the lack of one',
  tor: "Tor's network",
  onion: 'the onion service',
  target: 'the target',
}

/** Undefined for what is a bug of ours. */
export function toldProblemOf(error: unknown): ToldProblem | undefined {
  if (error instanceof ApiProblem) {
    const { code, title, detail, fault, retryable } = error.problem
    return { code, title, detail, fault, retryable, retryAfterMs: error.retryAfterMs }
  }
  if (error instanceof CbtorError) {
    const { title, fault, retryable } = PROBLEMS[error.code]
    return {
      code: error.code,
      title,
      detail: printable(error.message, MAX_DETAIL),
      fault,
      retryable,
      retryAfterMs: error.retryAfterMs,
    }
  }
  return undefined
}

/** Undefined likewise. `keyHint` is told where it is about the key. */
export function sentenceOf(error: unknown, keyHint?: string): string | undefined {
  if (error instanceof ApiUnreachable) return error.message
  const problem = toldProblemOf(error)
  if (problem === undefined) return undefined
  const isAboutKey = problem.code === 'auth_required' || problem.code === 'auth_invalid'
  return `${problemSentence(problem)}${isAboutKey && keyHint ? ` ${keyHint}` : ''}`
}

/** What was attempted and why not, whose doing it is, and whether to try again. */
export function problemSentence({ code, detail, fault, retryable, retryAfterMs }: ToldProblem): string {
  const after = retryAfterMs === undefined ? '' : `, after ${Math.ceil(retryAfterMs / 1_000)} s`
  const again = retryable ? `The same call may succeed later${after}.` : 'The same call will not succeed later.'
  return `${detail}. It is the doing of ${WHOSE[fault]} (${code}). ${again}`
}
