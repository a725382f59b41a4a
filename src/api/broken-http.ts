import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import type { Random } from '../lib/random.ts'
import { problemBody } from './problems.ts'
import { SECURITY_HEADERS } from './security-headers.ts'

/** Of Node's parser and of its timeouts. */
const CODE_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'it did not arrive in time'],
  HPE_HEADER_OVERFLOW: ['request_headers_too_large', 'its headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['payload_too_large', 'its chunk extensions are too large'],
}

/** Answers what is no request at all, below the level of routes, and closes the connection. */
export function answerBrokenHttp(error: NodeJS.ErrnoException, socket: Socket, random: Random): void {
  const hasNoWords = error.code === 'ECONNRESET' || /^ERR_(?:SSL|TLS)_/.test(error.code ?? '') // or no handshake
  if (hasNoWords || !socket.writable) {
    socket.destroy(error)
    return
  }
  const [code, reason] = CODE_OF[error.code ?? ''] ?? (['http_invalid', 'it is not valid HTTP'] as const)
  writeProblem(socket, new CbtorError(code, `Cannot read the request: ${reason}`), random)
  socket.destroy(error)
}

/** Answers CONNECT, which Node takes for a request to tunnel and hands over as a bare socket, and closes the connection. */
export function refuseTunnel(socket: Socket, random: Random): void {
  socket.on('error', () => {}) // nobody else listens any more
  const problem = new CbtorError('method_not_allowed', 'Cannot answer CONNECT: this is an API and no proxy')
  writeProblem(socket, problem, random, ['Allow: ']) // RFC 9110 section 10.2.1: a 405 has one, an empty one allows nothing
  socket.destroySoon()
}

function writeProblem(socket: Socket, problem: CbtorError, random: Random, headers: readonly string[] = []): void {
  const requestId = random.bytes(12).toString('base64url')
  const body = JSON.stringify(problemBody(problem, requestId))
  const { status } = PROBLEMS[problem.code]
  socket.write(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      `CBTOR-Error: ${problem.code}`,
      ...Object.entries(SECURITY_HEADERS).map(([name, value]) => `${name}: ${value}`),
      ...headers,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
