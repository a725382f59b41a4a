import type { Problem } from './openapi.ts'

/** The service answered with a problem. `message` is its detail. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  /** All that the service says of it (RFC 9457). */
  readonly problem: Problem
  /** How long the service asks to wait before the next try, in ms; undefined when it does not say. */
  readonly retryAfterMs: number | undefined

  constructor(problem: Problem, retryAfterMs?: number) {
    super(problem.detail)
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }

  /** What to match on: `no_worker`, `rate_limited`, … */
  get code(): string {
    return this.problem.code
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return this.problem.retryable
  }
}

/** There is no service of ours at the address, or it went away before it answered. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable'
}
