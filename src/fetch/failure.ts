import { errors } from 'undici'
import { CbtorError } from '../domain/errors.ts'
import { PROBLEMS } from '../domain/problems.ts'
import type { WorkerStream } from './worker-source.ts'

/** Why a TLS handshake failed, in words, by the code of Node or OpenSSL (X509_verify_cert(3), `openssl errstr`). */
const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate has been revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate chain ends in an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate is of an authority that is not known',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is of an authority that is not known',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is of an authority that is not known',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the target offers only versions of TLS older than 1.2',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the target offers no version of TLS that we accept',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the target does not speak TLS on this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the target does not speak TLS on this port',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'the target does not offer HTTP/1.1',
  ECONNRESET: 'the connection was lost during the handshake',
  EPIPE: 'the connection was lost during the handshake',
}

export function tlsFailure(cause: unknown): CbtorError {
  const code = codeIn(cause)
  const reason = TLS_REASONS[code] ?? `the handshake failed (${code === '' ? 'no reason given' : code})`
  return new CbtorError('tls_failure', `Cannot make a secure connection to the target: ${reason}`, { cause })
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
  const isAboutTarget = failure.code === 'connection_lost' || failure.code === 'tls_failure'
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
  history: Pick<CbtorError, 'attempts' | 'redirects'>,
  refusal: CbtorError | undefined,
): CbtorError {
  const { attempts, redirects } = history
  const isOfPool = PROBLEMS[error.code].fault === 'operator'
  const retryAfterMs = error.retryAfterMs ?? (isOfPool ? refusal?.retryAfterMs : undefined)
  return new CbtorError(error.code, error.message, {
    ...{ cause: error.cause, attempts, redirects },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/** Whether a connection that stood just ended: the doing of the target, of its circuit, or of a worker that is gone. */
export function isLostConnection({ code, cause }: CbtorError): boolean {
  return code === 'connection_lost' || (code === 'tls_failure' && ['ECONNRESET', 'EPIPE'].includes(codeIn(cause)))
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
