import type { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import { type Fault, PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Random } from '../lib/random.ts'

/** How many workers one fetch tries at most. */
export const MAX_TRIES = 3

/** A failed try on one worker. */
export interface FailedTry {
  readonly error: CbtorError
  /** Whether a byte of the request may have reached the target. */
  readonly wasSent: boolean
}

/**
 * What another worker can do about a fault. `always`: the fault is of this worker or its circuit. `confirm`: it is
 * probably the target's, but one other worker may see it differently; the same answer twice is the answer. Codes that
 * are not here are the same from everywhere. From table E.1 of the design's facts; Tor itself has tried three circuits
 * before some of these (`relay.c`, MAX_RESOLVE_FAILURES), so each retry costs three more.
 */
const ELSEWHERE: Partial<Record<ProblemCode, 'always' | 'confirm'>> = {
  worker_unreachable: 'always',
  worker_network: 'always',
  tor_failure: 'always',
  tor_timeout: 'always',
  exit_policy: 'always',
  onion_intro_failed: 'always',
  onion_rendezvous_failed: 'always',
  onion_intro_timeout: 'always',
  no_usable_exit: 'confirm',
  onion_not_found: 'confirm',
  onion_descriptor_invalid: 'confirm',
  resolve_failed: 'confirm',
  connection_refused: 'confirm',
  connection_lost: 'confirm',
  tls_failure: 'confirm',
}

/** RFC 9110, section 9.2.2. TRACE is not sent at all. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/** Whether to try another worker after `failed`, in order, of which at least one there is. */
export function shouldTryElsewhere(method: string, failed: readonly FailedTry[]): boolean {
  const last = failed.at(-1)
  if (last === undefined || failed.length >= MAX_TRIES) return false
  if (last.wasSent && !isIdempotent(method)) return false
  // Refused may also mean closed before we knew that it was open; Tor does not tell the two apart.
  if (last.error.code === 'connection_refused' && !isIdempotent(method)) return false

  switch (ELSEWHERE[last.error.code]) {
    case 'always':
      return true
    case 'confirm':
      return !failed.slice(0, -1).some(({ error }) => error.code === last.error.code)
    default:
      return false
  }
}

const BACKOFF_BASE_MS = 250
const BACKOFF_CAP_MS = 2_000

/**
 * How long to wait before the next try. Two workers with the same trouble look like trouble of Tor or of the target, to
 * which a pause does good; a worker that is plainly down says nothing about the next one, which gets its turn at once.
 */
export function waitBeforeNextMs(failed: readonly FailedTry[], random: Random): number {
  const code = failed.at(-1)?.error.code
  const alike = failed.filter(({ error }) => error.code === code).length
  if (code === 'worker_unreachable' || alike < 2) return 0
  return backoffMs(alike - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS, random)
}

/** Whether a second worker may be asked while the first takes its time: for what only reads, and is of no session. */
export function mayHedge(method: string, request: Pick<FetchRequest, 'hedge' | 'stickyKey' | 'workerId'>): boolean {
  const isBound = request.stickyKey !== undefined || request.workerId !== undefined
  return request.hedge === true && !isBound && (method === 'GET' || method === 'HEAD')
}

/** How long the first worker may take to the first byte before a second one is asked. `usualMs`: what most take. */
export function hedgeAfterMs(usualMs: number | undefined): number {
  return Math.max(2_000, usualMs ?? 0)
}

/** The error to tell the caller: the last one of those that say most about the target. */
export function mostTelling(failed: readonly FailedTry[]): CbtorError | undefined {
  const weight: Record<Fault, number> = { cbtor: 4, client: 3, target: 2, tor: 1, operator: 0 }
  const weightOf = ({ error }: FailedTry) => weight[PROBLEMS[error.code].fault]
  return failed.reduce<FailedTry | undefined>(
    (best, next) => (best === undefined || weightOf(next) >= weightOf(best) ? next : best),
    undefined,
  )?.error
}

/**
 * How long a try may take to connect before another worker, if there is one, gets its turn. Never the whole rest of
 * the budget: half of it, or three quarters for an onion service, whose rendezvous is slow to make and slow to redo.
 */
export function connectLimitMs(isOnion: boolean, remainingMs: number): number {
  return isOnion ? Math.min(60_000, remainingMs * 0.75) : Math.min(20_000, remainingMs * 0.5)
}
