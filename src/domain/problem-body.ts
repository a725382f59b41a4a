import { PROBLEMS, type ProblemCode, type ProblemType } from './problems.ts'

/** What every answer about a problem says, whoever gives it: RFC 9457, with members of ours. */
export interface ProblemCore extends ProblemType {
  readonly type: string
  readonly code: ProblemCode
  readonly detail: string
}

/** `detail`: printable, and fit for strangers. */
export function problemCore(code: ProblemCode, detail: string): ProblemCore {
  const { status, title, fault, retryable } = PROBLEMS[code]
  return { type: `/problems/${code}`, title, status, code, detail, fault, retryable }
}
