import type { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import { isIdempotent } from '../domain/method.ts'
import { type Fault, PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Random } from '../lib/random.ts'
import { isLostConnection } from './failure.ts'

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
  // Its guard has got as many circuits as it is asked for; another worker's may not.
  overloaded: 'always',
  tor_timeout: 'always',
  exit_policy: 'always',
  onion_intro_failed: 'always',
  onion_rendezvous_failed: 'always',
  onion_intro_timeout: 'always',
  tor_failure: 'confirm',
  tor_extended: 'confirm',
  no_usable_exit: 'confirm',
  exit_rule_unsupported: 'always',
  resolve_unsupported: 'always',
  no_exit_for_country_port: 'confirm',
  onion_not_found: 'confirm',
  onion_descriptor_invalid: 'confirm',
  resolve_failed: 'confirm',
  no_route: 'confirm',
  connection_refused: 'confirm',
  connection_lost: 'confirm',
  tls_certificate_expired: 'confirm',
  tls_wrong_host: 'confirm',
  tls_untrusted: 'confirm',
  tls_old_version: 'confirm',
  tls_not_spoken: 'confirm',
  tls_handshake_lost: 'confirm',
  tls_failure: 'confirm',
}

/**
 * What Tor says when no circuit got there, be it for Tor's reasons or for the target's: a closed port behind an exit, one
 * that no exit leads to. It has tried three circuits or more by then, so one other worker is asked, and its word stands.
 */
const COSTLY: ReadonlySet<ProblemCode> = new Set(['tor_failure', 'tor_extended', 'no_usable_exit'])

/**
 * Faults of the worker itself: what alone moves a session. Table E.1 would send more of them elsewhere, but a session that
 * leaves by a second exit shows the target (and who can make the caller ask for it: a redirect will do) that the two are
 * one, so what the target or its port can bring about is no reason to move: a connection refused, reset or not resolved,
 * a port that the exit does not serve, an onion service that does not answer, or `tor_failure`, which a closed port looks
 * like as well. A worker whose circuits really are broken shows in timeouts and in its checks. One that cannot choose exits
 * at all is of no use to a session with an exit rule, nor one that cannot look names up to one that asks for that.
 */
const OF_THE_WORKER: ReadonlySet<ProblemCode> = new Set([
  'worker_unreachable',
  'worker_network',
  'tor_timeout',
  'exit_rule_unsupported',
  'resolve_unsupported',
])

/** Faults of a worker that say nothing about the others. */
const OF_A_KIND: ReadonlySet<ProblemCode> = new Set([
  'worker_unreachable',
  'exit_rule_unsupported',
  'resolve_unsupported',
])

/** Circuits break: the same worker, as the same identity, may do better with the next. Only sessions ask it to, once. */
const OF_A_CIRCUIT: ReadonlySet<ProblemCode> = new Set([
  'tor_failure',
  'onion_intro_failed',
  'onion_rendezvous_failed',
  'onion_intro_timeout',
])

/** What a request says about the worker it is bound to. */
export type Binding = Pick<FetchRequest, 'stickyKey' | 'workerId'>

/** Whether the request is of a session. One that names its worker is not: it has no other one to go to. */
export function isOfSession({ stickyKey, workerId }: Binding): boolean {
  return stickyKey !== undefined && workerId === undefined
}

/** Whether a request may leave its worker because of `code`, if it may be sent again at all. */
export function mayLeave(code: ProblemCode, request: Binding): boolean {
  return !isOfSession(request) || OF_THE_WORKER.has(code)
}

/** Whether and where to try again after `failed`, in order, of which at least one there is. */
export function nextTry(
  method: string,
  request: Binding,
  failed: readonly FailedTry[],
): 'elsewhere' | 'again' | 'none' {
  const last = failed.at(-1)
  if (last === undefined || !mayRepeat(method, failed)) return 'none'
  if (!isOfSession(request)) return shouldTryElsewhere(method, failed) ? 'elsewhere' : 'none'
  if (OF_THE_WORKER.has(last.error.code)) return 'elsewhere'
  const isWorthIt = (failure: FailedTry) => OF_A_CIRCUIT.has(failure.error.code) || isLostConnection(failure.error)
  return isWorthIt(last) && !failed.slice(0, -1).some(isWorthIt) ? 'again' : 'none'
}

/** Whether to try another worker after `failed`, in order, of which at least one there is. */
export function shouldTryElsewhere(method: string, failed: readonly FailedTry[]): boolean {
  const last = failed.at(-1)
  if (last === undefined || !mayRepeat(method, failed)) return false
  switch (ELSEWHERE[last.error.code]) {
    case 'always':
      return true
    case 'confirm':
      return !failed.slice(0, -1).some(({ error: { code } }) => code === last.error.code || COSTLY.has(code))
    default:
      return false
  }
}

/** Whether there may be another try after `failed`, wherever: there were not too many, and sending again does no harm. */
function mayRepeat(method: string, failed: readonly FailedTry[]): boolean {
  const last = failed.at(-1)
  if (last === undefined || failed.length >= MAX_TRIES) return false
  if (isIdempotent(method)) return true
  // Refused may also mean closed before we knew that it was open; Tor does not tell the two apart.
  return !last.wasSent && last.error.code !== 'connection_refused'
}

const BACKOFF_BASE_MS = 250
const BACKOFF_CAP_MS = 2_000

/**
 * How long to wait before the next try. Two workers with the same trouble look like trouble of Tor or of the target, to
 * which a pause does good; a worker that is plainly down, or cannot do such a thing at all, says nothing about the next one, which gets its turn at once.
 */
export function waitBeforeNextMs(failed: readonly FailedTry[], random: Random): number {
  const code = failed.at(-1)?.error.code
  const alike = failed.filter(({ error }) => error.code === code).length
  if (alike < 2 || (code !== undefined && OF_A_KIND.has(code))) return 0
  return backoffMs(alike - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS, random)
}

/** Whether a second worker may be asked while the first takes its time: for what only reads, and is of no session. */
export function mayHedge(method: string, request: Pick<FetchRequest, 'hedge' | 'stickyKey' | 'workerId'>): boolean {
  const isBound = request.stickyKey !== undefined || request.workerId !== undefined
  return request.hedge === true && !isBound && (method === 'GET' || method === 'HEAD')
}

/** How long the first worker may take to the first byte before a second one is asked. `usualMs`: what most take. */
export function hedgeAfterMs(usualMs: number | undefined): number {
  return Math.min(Math.max(2_000, usualMs ?? 0), 5_000)
}

/** The error to tell the caller: the last one of those that say most about the target. */
export function mostTelling(failed: readonly FailedTry[]): CbtorError | undefined {
  const weight: Record<Fault, number> = { caller: 3, policy: 3, target: 2, onion: 2, tor: 1, worker: 0, service: 0 }
  const weightOf = ({ error: { code } }: FailedTry) => (code === 'internal' ? 4 : weight[PROBLEMS[code].fault])
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
