import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CbtorError } from '../../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../../domain/problems.ts'
import { onAbort } from '../../lib/abort.ts'
import { IdleWatch } from '../../lib/idle-watch.ts'
import { printable } from '../../lib/printable.ts'
import type { ForwardAnswer, ForwardRequest, ProxyBackend } from '../backend.ts'
import { cutOff } from '../cut-off.ts'
import type { PortOptions } from '../port.ts'
import { problemOf } from '../problem-of.ts'
import { type AdmittedRouting, keyGone } from '../routing.ts'
import type { ClientConnection } from './client-connection.ts'
import { admit } from './credentials.ts'
import { answeredHeaders, forwardedHeaders, type HeaderList, headerList, valuesOf } from './headers.ts'
import { problemAnswer } from './problem-answer.ts'
import { bodyOf } from './request-body.ts'
import { checkAbsoluteForm } from './request-target.ts'

const MAX_HEADERS = 128
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/
/** After these, what is a request and what is the rest of the last one cannot be told on the connection. */
const UNCLEAR: ReadonlySet<ProblemCode> = new Set(['http_invalid', 'request_headers_too_large', 'expectation_failed'])

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly connection: ClientConnection
  /** Aborted when the rest of the request is broken. */
  readonly stop: AbortController
}

/** Serves one absolute-form request, and settles when its answer is out or its client gone. Never rejects. */
export async function serveExchange(options: PortOptions, exchange: Exchange): Promise<void> {
  const { backend, clock, logger, limits } = options
  const { request, response, connection, stop } = exchange
  const { socket } = request
  const startedAt = clock.monotonic()
  const writtenBefore = socket.bytesWritten
  let status = 0
  let answer: ForwardAnswer | undefined
  let outcome: 'ok' | ProblemCode = 'ok'
  let body: Readable | undefined
  using _gone = onAbort(connection.signal, (reason) => stop.abort(reason))
  using _idle = new IdleWatch(
    clock,
    limits.idleMs,
    () => socket.bytesRead + socket.bytesWritten - socket.writableLength,
    () => stop.abort(new CbtorError('timeout', 'Cannot go on with the request: nothing has flowed for too long')),
  )
  using ends = new DisposableStack()
  try {
    stop.signal.throwIfAborted() // what came right behind the head may have shown that it is broken
    const checked = check(backend, request)
    ends.use(
      backend.onGone(checked.caller, () => {
        if (response.headersSent) cutOff(socket)
        stop.abort(keyGone())
      }),
    )
    if (request.httpVersionMinor === 1 && request.headers.expect !== undefined) response.writeContinue()
    body = bodyOf(request)
    answer = await backend.forward({ ...checked, body }, stop.signal)
    status = answer.status
    await deliver(answer, exchange)
  } catch (error) {
    const problem = problemOf(stop.signal.aborted ? stop.signal.reason : error, options, 'http')
    outcome = problem.code
    status = PROBLEMS[outcome].status
    refuse(options, exchange, problem)
    body?.destroy() // what is still to come of it nobody takes; many clients read no answer before they have sent all
  }
  await closed(response)
  const bytes = socket.bytesWritten - writtenBefore
  answer?.ended({ outcome, received: bytes })
  if (answer !== undefined) await received(request, stop.signal)
  const ms = Math.round(clock.monotonic() - startedAt)
  logger.debug({ port: 'http', method: request.method, status, bytes, ms }, 'request answered')
}

/** What the request asks for. Throws what is wrong with it: first the credentials, so that strangers learn nothing else. */
function check(backend: ProxyBackend, request: IncomingMessage): Omit<ForwardRequest, 'body'> & AdmittedRouting {
  const { method = '', url = '' } = request
  const headers = headerList(request.rawHeaders)
  const routing = admit(backend, headers)
  checkVersion(request, headers)
  checkHeaders(headers)
  checkMethod(method, headers)
  checkAbsoluteForm(url)
  return { ...routing, url, method, headers: forwardedHeaders(headers) }
}

/** RFC 9112 section 6.1: HTTP/1.0 has no codings, so nobody can tell how long such a message is. The parser takes others, too. */
function checkVersion({ httpVersion }: IncomingMessage, headers: HeaderList): void {
  if (httpVersion !== '1.0' && httpVersion !== '1.1')
    throw new CbtorError('http_invalid', `Cannot read the request: this is a proxy of HTTP/1.1, not of ${httpVersion}`)
  if (httpVersion === '1.0' && valuesOf(headers, 'transfer-encoding').length > 0)
    throw new CbtorError('http_invalid', 'Cannot read the request: HTTP/1.0 has no Transfer-Encoding')
}

function checkHeaders(headers: HeaderList): void {
  if (headers.length > MAX_HEADERS) {
    const reason = `it has more than ${MAX_HEADERS} headers: ${headers.length}`
    throw new CbtorError('request_headers_too_large', `Cannot read the request: ${reason}`)
  }
  if (valuesOf(headers, 'host').length > 1)
    throw new CbtorError('http_invalid', 'Cannot read the request: it has more than one header "host"')
  // The parser finds a coding that it does not know only when it has shown the request already.
  if (valuesOf(headers, 'transfer-encoding').some((value) => value.toLowerCase() !== 'chunked'))
    throw new CbtorError('http_invalid', 'Cannot read the request: its Transfer-Encoding is not chunked')
  const expected = valuesOf(headers, 'expect').find((value) => value.toLowerCase() !== '100-continue')
  if (expected !== undefined)
    throw new CbtorError('expectation_failed', `Cannot take the request: it expects "${printable(expected)}"`)
}

/** RFC 9110 section 9.3.8: TRACE would show a target what the proxy was told, and Max-Forwards asks proxies to show themselves. */
function checkMethod(method: string, headers: HeaderList): void {
  if (method === 'TRACE' || valuesOf(headers, 'max-forwards').length > 0) {
    const reason = 'a request that asks for the proxies on its way is not answered'
    throw new CbtorError('method_not_allowed', `Cannot forward the request: ${reason}`)
  }
}

async function deliver(answer: ForwardAnswer, { request, response, connection, stop }: Exchange): Promise<void> {
  const { body } = answer
  try {
    writeHead(answer, response, connection)
    // Cut off in a way that nobody takes for the end, before the pipeline closes the connection politely.
    const onBroken = () => {
      if (!body.readableEnded) cutOff(request.socket)
    }
    body.once('error', onBroken).once('close', onBroken)
    await pipeline(body, response, { signal: stop.signal })
  } catch (cause) {
    body.on('error', () => {}).destroy()
    if (cause instanceof CbtorError) throw cause
    if (stop.signal.aborted) throw stop.signal.reason
    throw new CbtorError('connection_lost', 'Cannot go on with the answer: the connection to the target was lost', {
      cause,
    })
  }
}

function writeHead(answer: ForwardAnswer, response: ServerResponse, connection: ClientConnection): void {
  const { status, statusText, headers } = answer
  response.sendDate = false // the target's own, if it sent one
  if (connection.isDraining) response.shouldKeepAlive = false
  if (!Number.isInteger(status) || status < 200 || status > 999) throw badResponse('its status is not a final one')
  try {
    const reason = REASON_PHRASE.test(statusText) ? statusText : ''
    response.writeHead(status, reason, answeredHeaders(headers).flat())
    // Also when the body takes long to begin. (Node would flush headers as UTF-8, which turns other bytes into two.)
    response.write('', 'latin1')
  } catch (cause) {
    throw badResponse('it has a header that is not valid', cause)
  }
}

function badResponse(reason: string, cause?: unknown): CbtorError {
  return new CbtorError('bad_response', `Cannot read the answer of the target: ${reason}`, { cause })
}

function refuse({ random }: PortOptions, { request, response, connection }: Exchange, problem: CbtorError): void {
  if (request.socket.destroyed) return
  if (response.headersSent) {
    cutOff(request.socket)
    return
  }
  const { status, reason, headers, body } = problemAnswer(problem, random)
  if (connection.isDraining || UNCLEAR.has(problem.code)) response.shouldKeepAlive = false
  response.writeHead(status, reason, headers.flat())
  response.end(body)
}

/** Resolves when the answer is out, or its connection gone. */
function closed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.closed) resolve()
    else response.once('close', resolve)
  })
}

/** Resolves when all of the request has come, for a target may answer before that, or when its connection is gone. */
async function received(request: IncomingMessage, signal: AbortSignal): Promise<void> {
  if (request.complete || request.closed) return
  using _ = onAbort(signal, () => request.socket.destroy())
  await new Promise((resolve) => request.once('close', resolve))
}
