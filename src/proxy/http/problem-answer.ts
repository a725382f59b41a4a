import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { CbtorError } from '../../domain/errors.ts'
import { problemCore } from '../../domain/problem-body.ts'
import type { Fault, ProblemCode } from '../../domain/problems.ts'
import { printable } from '../../lib/printable.ts'
import type { Random } from '../../lib/random.ts'

export interface ProblemAnswer {
  readonly status: number
  readonly reason: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

const MAX_DETAIL = 600
const METHODS = 'CONNECT, GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** RFC 9209 section 2.3, where one of its words says what ours says; else what the fault of the problem comes to. */
const PROXY_ERRORS: Partial<Readonly<Record<ProblemCode, string>>> = {
  http_invalid: 'http_request_error',
  url_too_long: 'http_request_error',
  url_invalid: 'http_request_error',
  url_control_character: 'http_request_error',
  url_userinfo: 'http_request_error',
  host_invalid: 'http_request_error',
  port_invalid: 'http_request_error',
  onion_address_invalid: 'http_request_error',
  target_forbidden: 'destination_ip_prohibited',
  resolve_failed: 'dns_error',
  no_route: 'destination_ip_unroutable',
  connection_refused: 'connection_refused',
  connection_lost: 'connection_terminated',
  tor_timeout: 'connection_timeout',
  onion_rendezvous_failed: 'connection_timeout',
  onion_intro_timeout: 'connection_timeout',
  timeout: 'http_response_timeout',
  bad_response: 'http_protocol_error',
  no_worker: 'destination_unavailable',
  overloaded: 'connection_limit_reached',
}
const BY_FAULT: Readonly<Record<Fault, string>> = {
  caller: 'http_request_denied',
  policy: 'http_request_denied',
  service: 'proxy_internal_error',
  worker: 'proxy_internal_error',
  tor: 'destination_unavailable',
  onion: 'destination_unavailable',
  target: 'destination_unavailable',
}

/**
 * A failure of ours, in the words of the API. By Proxy-Status, which is taken out of targets' answers, a client can tell it
 * from theirs.
 */
export function problemAnswer(error: CbtorError, random: Random): ProblemAnswer {
  const requestId = random.bytes(12).toString('base64url')
  const core = problemCore(error.code, printable(error.message, MAX_DETAIL))
  const attempts = error.attempts.map(({ worker, outcome, ms }) => ({
    worker,
    outcome,
    ms: Math.round(ms * 100) / 100,
  }))
  const body = JSON.stringify({ ...core, request_id: requestId, ...(attempts.length > 0 && { attempts }) })
  const proxyError = PROXY_ERRORS[error.code] ?? BY_FAULT[core.fault]
  const headers: [string, string][] = [
    ['Content-Type', 'application/problem+json'],
    ['Content-Length', String(Buffer.byteLength(body))],
    ['Cache-Control', 'no-store'],
    ['X-Request-Id', requestId],
    ['Proxy-Status', `cbtor; error=${proxyError}; details="${error.code}"`],
  ]
  if (error.code === 'proxy_auth_required') headers.push(['Proxy-Authenticate', 'Basic realm="cbtor"'])
  if (error.code === 'method_not_allowed') headers.push(['Allow', METHODS])
  if (error.retryAfterMs !== undefined)
    headers.push(['Retry-After', String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000)))])
  return { status: core.status, reason: STATUS_CODES[core.status] ?? 'Failed', headers, body }
}

/** Answers on a bare socket, where there is no parser any more, and says that the connection ends. */
export function writeProblem(socket: Socket, error: CbtorError, random: Random): void {
  const { status, reason, headers, body } = problemAnswer(error, random)
  const lines = [...headers, ['Connection', 'close']].map(([name, value]) => `${name}: ${value}`)
  socket.write([`HTTP/1.1 ${status} ${reason}`, ...lines, '', body].join('\r\n'))
}
