import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer } from '../domain/exchange.ts'
import { isIdempotent } from '../domain/method.ts'
import { parseRetryAfter } from '../lib/retry-after.ts'
import type { Outcome } from './next-step.ts'

/** What a try came to, as `nextStep` wants it. */
export function outcomeOf(result: FetchAnswer | CbtorError, now: number): Outcome {
  if (result instanceof CbtorError) return { type: 'failed', error: result }
  const [, asked] = result.headers.find(([name]) => name === 'retry-after') ?? []
  const retryAfterMs = asked === undefined ? undefined : parseRetryAfter(asked, now)
  return { type: 'answered', status: result.status, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

/** The process that fetched it ended, or is about to. */
export function interruption(method: string): CbtorError {
  const what = 'the service ended while it was going on'
  const why = isIdempotent(method) ? what : `${what}, so the request may have been sent, and must not be sent twice`
  return new CbtorError('connection_lost', `Cannot complete the fetch: ${why}`)
}

export function droppedError(): CbtorError {
  return new CbtorError('client_gone', 'Cannot complete the fetch: its job was cancelled')
}

export function deadlineError(): CbtorError {
  return new CbtorError('timeout', 'Cannot complete the fetch: the deadline of its job has passed')
}

/** Whatever a fetch threw, as a problem; what should not have been thrown is told to `onBug`. */
export function ourError(error: unknown, onBug: (error: unknown) => void): CbtorError {
  if (error instanceof CbtorError) return error
  onBug(error)
  return new CbtorError('internal', 'Cannot complete the fetch: an error of this service, which is in its log')
}
