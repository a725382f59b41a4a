import { errors } from 'undici'
import { CbtorError, type CbtorErrorOptions } from '../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import type { WorkerStream } from './worker-source.ts'

/** Why a TLS handshake failed, by the code of Node or OpenSSL (X509_verify_cert(3), `openssl errstr`). */
const TLS_REASONS: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  CERT_HAS_EXPIRED: ['tls_certificate_expired', 'the certificate has expired'],
  CERT_NOT_YET_VALID: ['tls_certificate_expired', 'the certificate is not valid yet'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls_wrong_host', 'the certificate is for another host'],
  CERT_REVOKED: ['tls_untrusted', 'the certificate has been revoked'],
  CERT_UNTRUSTED: ['tls_untrusted', 'the certificate is of an authority that is not trusted for this'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['tls_untrusted', 'the certificate is signed by itself'],
  SELF_SIGNED_CERT_IN_CHAIN: ['tls_untrusted', 'the certificate chain ends in an authority that is not trusted'],
  UNABLE_TO_GET_ISSUER_CERT: ['tls_untrusted', 'the certificate is of an authority that is not known'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['tls_untrusted', 'the certificate is of an authority that is not known'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls_untrusted', 'the certificate is of an authority that is not known'],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ['tls_old_version', 'the target offers only versions of TLS older than 1.2'],
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: ['tls_old_version', 'the target offers no version of TLS that we accept'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['tls_not_spoken', 'the target does not speak TLS on this port'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['tls_not_spoken', 'the target does not speak TLS on this port'],
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: ['tls_failure', 'the target does not offer HTTP/1.1'],
  ECONNRESET: ['tls_handshake_lost', 'the connection was lost during the handshake'],
  EPIPE: ['tls_handshake_lost', 'the connection was lost during the handshake'],
}

/** Foreign words are codes of OpenSSL; whatever has none is left as it is. */
export function tlsFailure(cause: unknown): CbtorError {
  const code = codeIn(cause)
  const unknown = `the handshake failed (${code === '' ? 'no reason given' : code})`
  const [problem, reason] = TLS_REASONS[code] ?? (['tls_failure', unknown] as const)
  return new CbtorError(problem, `Cannot make a secure connection to the target: ${reason}`, { cause })
}

/** What went wrong with a request or answer on a connection that stood: undici's errors and the socket's. */
export function exchangeFailure(cause: unknown): CbtorError {
  if (cause instanceof CbtorError) return cause
  const code = codeIn(cause)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return badResponse('its headers are too large', cause)
  // Any fault of the parser but the end of the stream inside a message, which its words alone tell.
  if (cause instanceof errors.HTTPParserError && !cause.message.includes('Invalid EOF state')) {
    return badResponse(`it is not HTTP/1.1: ${/\((.+)\)/.exec(cause.message)?.[1] ?? 'no reason given'}`, cause)
  }
  // The same of Node's own parser.
  if (code === 'HPE_HEADER_OVERFLOW') return badResponse('its headers are too large', cause)
  if (code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE')
    return badResponse(`it is not HTTP/1.1: ${code}`, cause)
  if (cause instanceof Error && /^bad (?:response|upgrade)$/.test(cause.message)) {
    return badResponse('it does not fit the request', cause)
  }
  // What undici refuses to send we should have refused before; what has no code is no fault of a connection.
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED' || !isOfConnection(cause)) {
    return new CbtorError('internal', 'Cannot complete the exchange: this service made an error', { cause })
  }
  return new CbtorError('connection_lost', 'Cannot complete the exchange: the connection to the target was lost', {
    cause,
  })
}

/** Anything that a lease's `connect` throws beside a CbtorError is a bug of the worker's driver. */
export function connectFailure(cause: unknown): CbtorError {
  if (cause instanceof CbtorError) return cause
  return new CbtorError('internal', 'Cannot connect to the target: the worker failed in a way it should not', { cause })
}

/**
 * Whose fault it is when a stream ends without a byte of which nobody has said that the target answers: that cannot be told,
 * so the target is not blamed.
 */
export function unlessUnheardOf(
  { isUnconfirmed, socket }: Pick<WorkerStream, 'isUnconfirmed' | 'socket'>,
  failure: CbtorError,
): CbtorError {
  const isAboutTarget = failure.code === 'connection_lost' || failure.code.startsWith('tls_')
  if (!isUnconfirmed || !isAboutTarget || socket.bytesRead > 0) return failure
  const why = 'it ended without a byte, and this route does not tell whether the target refused it or Tor failed'
  return new CbtorError('tor_failure', `Cannot connect to the target: ${why}`, { cause: failure })
}

/** What ended a try from outside. Reasons that are not ours are the caller's. */
export function abortFailure(reason: unknown): CbtorError {
  if (reason instanceof CbtorError) return reason
  return new CbtorError('client_gone', 'Cannot complete the fetch: its caller is gone', { cause: reason })
}

/**
 * The same error with what led to it. `refusal`: why there was no other worker, which also tells when there may be one.
 */
export function withHistory(
  error: CbtorError,
  history: Pick<CbtorErrorOptions, 'attempts' | 'redirects' | 'receipt'>,
  refusal: CbtorError | undefined,
): CbtorError {
  const isOfPool = ['worker', 'service'].includes(PROBLEMS[error.code].fault)
  const retryAfterMs = error.retryAfterMs ?? (isOfPool ? refusal?.retryAfterMs : undefined)
  return new CbtorError(error.code, error.message, {
    ...{ cause: error.cause, ...history },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/** Whether a connection that stood just ended: the doing of the target, of its circuit, or of a worker that is gone. */
export function isLostConnection({ code }: CbtorError): boolean {
  return code === 'connection_lost' || code === 'tls_handshake_lost'
}

/** Whether the whole time that there was is over. */
export function isTimeout(error: unknown): error is CbtorError {
  return error instanceof CbtorError && error.code === 'timeout'
}

function badResponse(reason: string, cause: unknown): CbtorError {
  return new CbtorError('bad_response', `Cannot read the answer of the target: ${reason}`, { cause })
}

/** Sockets, TLS, streams and undici all give their errors a code, but for the parser; a mistake of ours has none. */
function isOfConnection(error: unknown): boolean {
  return codeIn(error) !== '' || error instanceof errors.HTTPParserError
}

function codeIn(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
