import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import type { Random } from '../lib/random.ts'
import { problemBody } from './problems.ts'

/** Of Node's parser and of its timeouts. */
const CODE_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'it did not arrive in time'],
  HPE_HEADER_OVERFLOW: ['request_headers_too_large', 'its headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['payload_too_large', 'its chunk extensions are too large'],
}

/** Answers what is no request at all, below the level of routes, and closes the connection. */
export function answerBrokenHttp(error: NodeJS.ErrnoException, socket: Socket, random: Random): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error)
    return
  }
  const [code, reason] = CODE_OF[error.code ?? ''] ?? (['http_invalid', 'it is not valid HTTP'] as const)
  const problem = new CbtorError(code, `Cannot read the request: ${reason}`)
  const body = JSON.stringify(problemBody(problem, random.bytes(12).toString('base64url')))
  const { status } = PROBLEMS[code]
  socket.write(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
  socket.destroy(error)
}
