import type { CbtorError } from './errors.ts'
import type { ProblemCode } from './problems.ts'

/**
 * Before any of these, no byte of a request was written. `tor_failure` is not one of them: where the route does not tell, it is also
 * what an answered connection that ends becomes; nor are `worker_unreachable` and `shutting_down`, which end tries that go on.
 */
const BEFORE_SENDING: ReadonlySet<string> = new Set<ProblemCode>([
  'target_busy',
  'rate_limited',
  'concurrency_limited',
  'overloaded',
  'no_worker',
  'onion_not_found',
  'onion_descriptor_invalid',
  'onion_intro_failed',
  'onion_intro_timeout',
  'onion_rendezvous_failed',
  'tor_timeout',
  'exit_policy',
  'no_usable_exit',
  'resolve_failed',
  'no_route',
  'tls_handshake_lost',
  'worker_network',
])

/** What refuses a request, and also ends one that goes on: then there is a try that ended so. */
const BEFORE_TRYING: ReadonlySet<string> = new Set<ProblemCode>(['quota_exceeded'])

/** Whether it is sure that nothing of the request was sent, so that it may be sent again whatever it does. */
export function wasNotSent({
  code,
  attempts,
  redirects,
}: Pick<CbtorError, 'code' | 'attempts' | 'redirects'>): boolean {
  const isBefore = BEFORE_SENDING.has(code) || BEFORE_TRYING.has(code)
  // A redirect was an answer, so the request had been sent.
  return redirects.length === 0 && isBefore && attempts.every(({ outcome }) => BEFORE_SENDING.has(outcome))
}
