import type { Attempt, FailureReceipt, Redirect } from './exchange.ts'
import type { ProblemCode } from './problems.ts'

export interface CbtorErrorOptions extends ErrorOptions {
  /** The workers that were tried. */
  readonly attempts?: readonly Attempt[]
  /** The redirects that were followed. */
  readonly redirects?: readonly Redirect[]
  /** How far the request came, once it had a worker. */
  readonly receipt?: FailureReceipt
  /** Milliseconds after which a retry makes sense. */
  readonly retryAfterMs?: number
}

/**
 * The one error that crosses parts. `message` says what was attempted, then why not, then the value; it is shown to the
 * client, so it names no host, path or secret of ours.
 */
export class CbtorError extends Error {
  override readonly name = 'CbtorError'
  readonly code: ProblemCode
  readonly attempts: readonly Attempt[]
  readonly redirects: readonly Redirect[]
  readonly receipt: FailureReceipt | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: ProblemCode, message: string, options: CbtorErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.attempts = options.attempts ?? []
    this.redirects = options.redirects ?? []
    this.receipt = options.receipt
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Anything that is not ours is a bug, and its message is not for strangers. */
export function codeOf(error: unknown): ProblemCode {
  return error instanceof CbtorError ? error.code : 'internal'
}
