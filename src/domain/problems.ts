/**
 * Whose doing it is, hence who can do something about it: the caller; a policy (of targets, limits or keys) that somebody set;
 * this service; the worker that was used, or the lack of one; Tor's network; the onion service; the target.
 */
export const FAULTS = ['caller', 'policy', 'service', 'worker', 'tor', 'onion', 'target'] as const
export type Fault = (typeof FAULTS)[number]

export interface ProblemType {
  /** Our answer's status: says whether *we* delivered, never what the target answered. */
  readonly status: number
  readonly fault: Fault
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean
  readonly title: string
}

/**
 * Everything that can go wrong, each once: the code clients match on, the HTTP status, whose fault it is and whether a
 * retry makes sense. The rows of Tor and onion services are table E.1 of the design's facts, made from Tor's SOCKS replies.
 */
export const PROBLEMS = {
  // the caller: mend the request
  http_invalid: caller(400, 'The request is not valid HTTP'),
  duplicate_header: caller(400, 'A header that decides what becomes of the request is there more than once'),
  invalid_json: caller(400, 'The request body is not valid JSON'),
  invalid_input: caller(400, 'The request has a field that is missing, unknown or out of range'),
  unknown_field: caller(400, 'The request has a field that there is not'),
  url_required: caller(400, 'The request has no URL'),
  url_type: caller(400, 'The URL is not a string'),
  url_too_long: caller(400, 'The URL is too long'),
  url_invalid: caller(400, 'The URL is not valid'),
  url_control_character: caller(400, 'The URL has a blank or a control character'),
  url_userinfo: caller(400, 'The URL has a user name or a password'),
  scheme_not_allowed: caller(400, 'Only http and https URLs are fetched'),
  host_invalid: caller(400, 'The host name is not valid'),
  port_invalid: caller(400, 'The port is not valid'),
  onion_address_invalid: caller(400, 'The onion address is not valid'),
  country_invalid: caller(400, 'The country is not a code of ISO 3166-1 in lower case'),
  timeout_range: caller(400, 'The time limit is out of range'),
  session_invalid: caller(400, 'The sticky key is not valid'),
  header_invalid: caller(400, 'A header is not valid'),
  header_forbidden: caller(400, 'A header may not be set by the caller'),
  headers_too_large: caller(400, 'The headers are too many or too large'),
  user_name_invalid: caller(400, 'The user name does not say how to route the request'),
  use_connect: caller(400, 'The proxy fetches http URLs only; other protocols need CONNECT'),
  config_invalid: caller(400, 'The configuration has faults'),
  auth_required: caller(401, 'The request has no key'),
  auth_invalid: caller(401, 'The key is not valid'),
  auth_in_query_refused: caller(401, 'The key is in the URL, where it would be written down'),
  scope_missing: caller(403, 'The key may not be used for this'),
  origin_not_allowed: caller(403, 'Requests from other web origins are refused'),
  onion_auth_required: caller(403, 'The onion service asks for client authorization'),
  onion_auth_rejected: caller(403, 'The onion service rejected the client authorization'),
  not_found: caller(404, 'There is no such resource'),
  worker_not_found: caller(404, 'There is no such worker'),
  session_not_found: caller(404, 'There is no such session'),
  key_not_found: caller(404, 'There is no such key'),
  job_not_found: caller(404, 'There is no such job'),
  method_not_allowed: caller(405, 'The resource does not have this method'),
  proxy_auth_required: caller(407, 'The proxy asks for a key as the password'),
  request_timeout: { status: 408, fault: 'caller', retryable: true, title: 'The request did not arrive in time' },
  conflict: caller(409, 'The worker, key or job is in a state that forbids this'),
  payload_too_large: caller(413, 'The request is too large'),
  unsupported_media_type: caller(415, 'The request body must be application/json'),
  expectation_failed: caller(417, 'The request expects what this service does not do'),
  host_not_allowed: caller(421, 'The Host header names a host that this service does not answer for'),
  resolve_unsupported: caller(422, 'The worker cannot look names up'),
  exit_rule_unsupported: caller(422, 'The exit cannot be chosen for this target or worker'),
  idempotency_key_reused: caller(422, 'The Idempotency-Key was used for another request'),
  request_headers_too_large: caller(431, 'The headers of the request are too large'),
  client_gone: caller(499, 'The client closed its connection'),

  // a policy: of targets, limits or keys
  port_not_allowed: policy(403, false, 'The target policy refuses this port'),
  target_forbidden: policy(403, false, 'The target policy refuses this address or name'),
  redirect_forbidden: policy(403, false, 'A redirect leads where the request may not go'),
  no_exit_for_country_port: policy(422, false, 'Too few exits satisfy the exit rule and take this port'),
  rate_limited: policy(429, true, 'The key has used up its requests for now'),
  concurrency_limited: policy(429, true, 'The key has as many requests under way as it may'),
  quota_exceeded: policy(429, true, 'The key has used up its bytes for today'),
  target_busy: policy(429, true, 'The target gets as many requests as politeness allows'),
  too_many_jobs: policy(429, true, 'There are as many jobs as may be kept'),

  // this service
  internal: { status: 500, fault: 'service', retryable: false, title: 'An error of this service' },
  overloaded: { status: 503, fault: 'service', retryable: true, title: 'All workers have as much as they can take' },
  shutting_down: { status: 503, fault: 'service', retryable: true, title: 'The service is shutting down' },
  store_unavailable: { status: 503, fault: 'service', retryable: true, title: 'The shared store cannot be used' },

  // the workers: mend the pool
  no_worker: worker(503, 'No worker can take the request'),
  worker_unreachable: worker(503, 'The worker cannot be reached'),
  worker_network: worker(503, 'The worker has no network'),
  session_worker_lost: { ...worker(409, 'The worker of the session is lost'), retryable: false },

  // Tor
  tor_failure: tor(502, 'Tor could not make the connection'),
  tor_extended: tor(502, 'Tor could not make the connection, for a reason that this version does not know'),
  exit_policy: tor(502, 'The exit relay refuses this target'),
  no_usable_exit: tor(422, 'No exit relay can reach this target'),
  tor_timeout: tor(504, 'Tor did not make the connection in time'),

  // the onion service
  onion_not_found: onion(502, 'The onion service has no descriptor: it is offline or never existed'),
  onion_descriptor_invalid: onion(502, 'The descriptor of the onion service is not valid'),
  onion_intro_failed: onion(502, 'The onion service did not answer the introduction'),
  onion_rendezvous_failed: onion(504, 'The rendezvous with the onion service failed'),
  onion_intro_timeout: onion(504, 'The introduction to the onion service timed out'),

  // the target
  resolve_failed: target(502, 'The exit relay could not resolve the name'),
  no_route: target(502, 'The exit relay found no route to the target'),
  connection_refused: target(502, 'The target refused the connection'),
  connection_lost: target(502, 'The connection was lost before the answer was complete'),
  tls_certificate_expired: target(502, 'The certificate of the target is not valid any more, or not yet'),
  tls_wrong_host: target(502, 'The certificate of the target is for another host'),
  tls_untrusted: target(502, 'The certificate of the target is of no authority that is trusted'),
  tls_old_version: target(502, 'The target offers no version of TLS that is accepted'),
  tls_not_spoken: target(502, 'The target does not speak TLS on this port'),
  tls_handshake_lost: target(502, 'The connection was lost during the TLS handshake'),
  tls_failure: target(502, 'The TLS handshake with the target failed'),
  bad_response: target(502, 'The target did not answer with valid HTTP'),
  encoding_invalid: target(502, 'The body does not match its Content-Encoding'),
  decompression_limit: target(502, 'The body grows beyond what is allowed when decompressed'),
  response_too_large: target(502, 'The body is larger than max_bytes'),
  redirect_limit: target(502, 'Too many redirects'),
  timeout: { status: 504, fault: 'target', retryable: true, title: 'The answer did not arrive within timeout_ms' },
} as const satisfies Record<string, ProblemType>

export type ProblemCode = keyof typeof PROBLEMS

function caller<const S extends number>(status: S, title: string) {
  return { status, fault: 'caller', retryable: false, title } as const
}

function policy<const S extends number>(status: S, retryable: boolean, title: string) {
  return { status, fault: 'policy', retryable, title } as const
}

function worker<const S extends number>(status: S, title: string) {
  return { status, fault: 'worker', retryable: true, title } as const
}

function tor<const S extends number>(status: S, title: string) {
  return { status, fault: 'tor', retryable: true, title } as const
}

function onion<const S extends number>(status: S, title: string) {
  return { status, fault: 'onion', retryable: true, title } as const
}

function target<const S extends number>(status: S, title: string) {
  return { status, fault: 'target', retryable: false, title } as const
}
