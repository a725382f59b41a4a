/** Who can do something about it. */
export type Fault = 'client' | 'operator' | 'tor' | 'target' | 'cbtor'

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
 * retry makes sense. The Tor rows are table E.1 of the design's facts, made from Tor's SOCKS replies.
 */
export const PROBLEMS = {
  // the client: mend the request
  http_invalid: client(400, 'The request is not valid HTTP'),
  invalid_json: client(400, 'The request body is not valid JSON'),
  invalid_input: client(400, 'The request has a field that is missing, unknown or out of range'),
  unsupported_media_type: client(415, 'The request body must be application/json'),
  payload_too_large: client(413, 'The request is too large'),
  request_headers_too_large: client(431, 'The headers of the request are too large'),
  request_timeout: { status: 408, fault: 'client', retryable: true, title: 'The request did not arrive in time' },
  not_found: client(404, 'There is no such resource'),
  method_not_allowed: client(405, 'The resource does not have this method'),
  expectation_failed: client(417, 'The request expects what this service does not do'),
  host_not_allowed: client(421, 'The Host header names a host that this service does not answer for'),
  origin_not_allowed: client(403, 'Requests from other web origins are refused'),
  url_invalid: client(400, 'The URL is not valid'),
  scheme_not_allowed: client(400, 'Only http and https URLs are fetched'),
  host_invalid: client(400, 'The host name is not valid'),
  port_invalid: client(400, 'The port is not valid'),
  port_not_allowed: client(403, 'The target policy refuses this port'),
  target_forbidden: client(403, 'The target policy refuses this address or name'),
  onion_address_invalid: client(400, 'The onion address is not valid'),
  onion_auth_required: client(403, 'The onion service asks for client authorization'),
  onion_auth_rejected: client(403, 'The onion service rejected the client authorization'),
  header_invalid: client(400, 'A header is not valid'),
  header_forbidden: client(400, 'A header may not be set by the caller'),
  headers_too_large: client(400, 'The headers are too many or too large'),
  worker_not_found: client(404, 'There is no such worker'),
  conflict: client(409, 'The worker is in a state that forbids this'),
  session_not_found: client(404, 'There is no such session'),
  session_worker_lost: client(409, 'The worker of the session is lost'),
  user_name_invalid: client(400, 'The user name does not say how to route the request'),
  proxy_auth_required: client(407, 'The proxy asks for a user name and password'),
  use_connect: client(400, 'The proxy fetches http URLs only; other protocols need CONNECT'),
  resolve_unsupported: client(422, 'The worker cannot look names up'),
  exit_rule_unsupported: client(422, 'The exit cannot be chosen for this target or worker'),
  no_exit_for_country_port: client(422, 'Too few exits satisfy the exit rule and take this port'),
  client_gone: client(499, 'The client closed its connection'),

  // the operator: mend the pool
  no_worker: { status: 503, fault: 'operator', retryable: true, title: 'No worker can take the request' },
  overloaded: { status: 503, fault: 'operator', retryable: true, title: 'All workers have as much as they can take' },
  worker_unreachable: { status: 503, fault: 'operator', retryable: true, title: 'The worker cannot be reached' },
  shutting_down: { status: 503, fault: 'operator', retryable: true, title: 'The service is shutting down' },
  worker_network: { status: 503, fault: 'operator', retryable: true, title: 'The worker has no network' },

  // Tor
  tor_failure: tor(502, 'Tor could not make the connection'),
  tor_timeout: tor(504, 'Tor did not make the connection in time'),
  no_usable_exit: tor(422, 'No exit relay can reach this target'),
  exit_policy: tor(502, 'The exit relay refuses this target'),
  onion_not_found: tor(502, 'The onion service has no descriptor: it is offline or never existed'),
  onion_descriptor_invalid: tor(502, 'The descriptor of the onion service is not valid'),
  onion_intro_failed: tor(502, 'The onion service did not answer the introduction'),
  onion_rendezvous_failed: tor(504, 'The rendezvous with the onion service failed'),
  onion_intro_timeout: tor(504, 'The introduction to the onion service timed out'),

  // the target
  resolve_failed: target(502, 'The exit relay could not resolve the name or found no route to it'),
  connection_refused: target(502, 'The target refused the connection'),
  connection_lost: target(502, 'The connection was lost before the answer was complete'),
  tls_failure: target(502, 'The TLS handshake with the target failed'),
  bad_response: target(502, 'The target did not answer with valid HTTP'),
  encoding_invalid: target(502, 'The body does not match its Content-Encoding'),
  decompression_limit: target(502, 'The body grows beyond what is allowed when decompressed'),
  response_too_large: target(502, 'The body is larger than max_bytes'),
  redirect_limit: target(502, 'Too many redirects'),
  redirect_forbidden: target(403, 'A redirect leads where the request may not go'),
  timeout: { status: 504, fault: 'target', retryable: true, title: 'The answer did not arrive within timeout_ms' },

  // us: a bug
  internal: { status: 500, fault: 'cbtor', retryable: false, title: 'An error of this service' },
} as const satisfies Record<string, ProblemType>

export type ProblemCode = keyof typeof PROBLEMS

function client<const S extends number>(status: S, title: string) {
  return { status, fault: 'client', retryable: false, title } as const
}

function tor<const S extends number>(status: S, title: string) {
  return { status, fault: 'tor', retryable: true, title } as const
}

function target<const S extends number>(status: S, title: string) {
  return { status, fault: 'target', retryable: false, title } as const
}
