import type { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer } from '../domain/exchange.ts'
import type { JobFetch, KeptProblem, Phase } from '../domain/job.ts'

/** Each row costs about that much beside what is in it. */
export const ROW_BYTES = 256

export function keptProblem({ code, message, attempts, redirects, receipt }: CbtorError): KeptProblem {
  return { code, message, attempts, redirects, ...(receipt && { receipt }) }
}

/** What is to be sent, as JSON; `parseRequest` reads it. */
export function requestText({ body, ...request }: JobFetch['request']): string {
  return JSON.stringify({ ...request, ...(body && { body: Buffer.from(body).toString('base64') }) })
}

export function parseRequest(text: string): JobFetch['request'] {
  const { body, ...request } = JSON.parse(text) as Omit<JobFetch['request'], 'body'> & { readonly body?: string }
  return { ...request, ...(body !== undefined && { body: Buffer.from(body, 'base64') }) }
}

/** An answer without its body, as JSON. */
export function answerText({ body: _, ...head }: FetchAnswer): string {
  return JSON.stringify(head)
}

export function parseAnswer(text: string): Omit<FetchAnswer, 'body'> {
  const answer = JSON.parse(text) as Omit<FetchAnswer, 'body'>
  return { ...answer, exit: answer.exit } // undefined, which JSON leaves out
}

/** A tally that is being counted. */
export interface GrowingTally {
  readonly waiting: Record<Phase | 'first', number>
  readonly running: Record<Phase | 'first', number>
  done: number
  failed: number
  cancelled: number
  nextAt: number | undefined
}

export function noTally(): GrowingTally {
  return {
    waiting: { first: 0, descriptor: 0, circuit: 0, http: 0 },
    running: { first: 0, descriptor: 0, circuit: 0, http: 0 },
    done: 0,
    failed: 0,
    cancelled: 0,
    nextAt: undefined,
  }
}
