import type { CbtorError } from '../domain/errors.ts'
import type { Phase, RetryPolicy } from '../domain/job.ts'
import { isIdempotent } from '../domain/method.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import { wasNotSent } from '../domain/was-sent.ts'

/** What there was of a fetch before its latest try. */
export interface FetchHistory {
  readonly method: string
  /** Whether it goes through one worker only, by name or as its session does: what is wrong with that one holds nobody else up. */
  readonly isTied: boolean
  /** How many of its tries failed, by how far they had come. */
  readonly failures: Readonly<Record<Phase, number>>
  /** Of the job. */
  readonly deadlineAt: number
}

/** What the latest try came to. */
export type Outcome =
  | { readonly type: 'failed'; readonly error: Pick<CbtorError, 'code' | 'attempts' | 'redirects' | 'retryAfterMs'> }
  | { readonly type: 'answered'; readonly status: number; readonly retryAfterMs?: number }

export type Step =
  /** The outcome stands. */
  | { readonly type: 'end' }
  | { readonly type: 'retry'; readonly phase: Phase; readonly at: number }
  /** We refused it ourselves, which is no try. `holds`: who else would be refused until then. */
  | { readonly type: 'wait'; readonly at: number; readonly holds: Holds }

type Holds = 'fetch' | 'caller' | 'all'

/** What this service says when it did not try at all, and for whom else that holds. */
const REFUSALS: Partial<Record<ProblemCode, Holds>> = {
  target_busy: 'fetch',
  rate_limited: 'caller',
  concurrency_limited: 'caller',
  quota_exceeded: 'caller',
  // Keys take turns where there is too much to do.
  overloaded: 'caller',
  no_worker: 'all',
  shutting_down: 'all',
}

/**
 * What a later try may mend, by how far the fetch had come. More than what the table of problems calls retryable: that is about
 * seconds, this about hours, in which targets come back.
 */
const PHASE_OF: Partial<Record<ProblemCode, Phase>> = {
  onion_not_found: 'descriptor',
  onion_descriptor_invalid: 'descriptor',
  connection_refused: 'http',
  connection_lost: 'http',
  resolve_failed: 'http',
  no_route: 'http',
  tls_handshake_lost: 'http',
  timeout: 'http',
}

/** Those that may be about one worker. */
const OF_A_WORKER: ReadonlySet<ProblemCode> = new Set(['overloaded', 'no_worker'])

const REFUSED_FOR_MS = 5_000
const SPREAD_MS = 1_000
/** Even with the luckiest jitter, so that nothing is hammered. */
const LEAST_WAIT_MS = 1_000

/**
 * What becomes of a fetch after its latest try. `jitter`: uniform in [0, 1): the wait is that part of the policy's delay ("full
 * jitter"), so that what failed together is not tried together. Pure.
 */
export function nextStep(
  history: FetchHistory,
  outcome: Outcome,
  now: number,
  policy: RetryPolicy,
  jitter: number,
): Step {
  if (!mayRepeat(history.method, outcome)) return { type: 'end' }
  const { retryAfterMs } = outcome.type === 'failed' ? outcome.error : outcome

  const holds = outcome.type === 'failed' ? holdsOf(outcome.error.code, history) : undefined
  if (holds !== undefined) {
    const at = now + Math.max(LEAST_WAIT_MS, Math.ceil((retryAfterMs ?? REFUSED_FOR_MS) + jitter * SPREAD_MS))
    return at < history.deadlineAt ? { type: 'wait', at, holds } : { type: 'end' }
  }

  const phase = outcome.type === 'failed' ? phaseOf(outcome.error.code) : statusPhase(outcome.status, policy)
  if (phase === undefined) return { type: 'end' }
  const { delaysMs, maxRetries } = policy.phases[phase]
  const failures = history.failures[phase]
  if (failures >= maxRetries) return { type: 'end' }
  const delayMs = jitter * (delaysMs[Math.min(failures, delaysMs.length - 1)] ?? 0)
  const at = now + Math.ceil(Math.max(LEAST_WAIT_MS, delayMs, retryAfterMs ?? 0))
  return at < history.deadlineAt ? { type: 'retry', phase, at } : { type: 'end' }
}

function holdsOf(code: ProblemCode, { isTied }: FetchHistory): Holds | undefined {
  return isTied && OF_A_WORKER.has(code) ? 'fetch' : REFUSALS[code]
}

/** Undefined when no later try mends it. */
export function phaseOf(code: ProblemCode): Phase | undefined {
  const { retryable, fault } = PROBLEMS[code]
  const known = PHASE_OF[code]
  if (known !== undefined || !retryable) return known
  return fault === 'tor' || fault === 'onion' || fault === 'worker' ? 'circuit' : 'http'
}

function statusPhase(status: number, { statuses }: RetryPolicy): Phase | undefined {
  return statuses.includes(status) ? 'http' : undefined
}

/** Whether sending it again cannot do twice what was to be done once. */
function mayRepeat(method: string, outcome: Outcome): boolean {
  return isIdempotent(method) || (outcome.type === 'failed' && wasNotSent(outcome.error))
}
