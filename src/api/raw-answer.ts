import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Receipt, StreamedAnswer } from '../domain/exchange.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import { FOREIGN_BODY_HEADERS, foreignHeaderName } from './foreign-body.ts'
import { roundMs } from './schemas/common.ts'
import { watchAnswer } from './slow-clients.ts'

/** RFC 9110, sections 5.5 and 15.1: what may stand in a header, or behind the status. */
const FIELD_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/
/** Clients have limits for headers, and nothing breaks without it. */
const MAX_URL = 8_192
/** The names of what follows the body. */
const TRAILERS = 'CBTOR-Bytes, CBTOR-Body-Ms, CBTOR-Total-Ms, CBTOR-Truncated'

type Headers = readonly (readonly [name: string, value: string])[]

/**
 * Sends the target's answer on as it comes, no faster than the client takes it, and resolves when nothing more will be sent. An
 * answer that is not whole never ends in order: its connection is broken off.
 */
export async function sendRaw(reply: FastifyReply, answer: StreamedAnswer, clock: Clock): Promise<void> {
  reply.hijack()
  const { raw } = reply
  watchAnswer(raw, clock)
  raw.once('close', () => answer.body.destroy())
  answer.body.once('error', () => breakOff(raw))
  if (raw.destroyed) answer.body.destroy()

  const hasBody = answer.bodyLength !== 0
  const isChunked = hasBody && reply.request.raw.httpVersion !== '1.0'
  // Without a body all is known by now.
  if (!hasBody) answer.body.resume()
  const last = hasBody ? [] : lastHeaders((await answer.ended).receipt)
  const ours = Object.entries({ ...reply.getHeaders(), ...FOREIGN_BODY_HEADERS })
  for (const [name, value] of ours) if (value !== undefined) raw.setHeader(name, value)
  for (const [name, value] of [...receiptHeaders(answer), ...last]) raw.setHeader(name, value)
  for (const [name, value] of foreignHeaders(answer.headers)) raw.appendHeader(name, value)
  // Trailers take chunks. To a client that knows neither, only the length tells whether it is whole.
  if (isChunked) raw.setHeader('trailer', TRAILERS)
  else if (answer.bodyLength !== undefined && ![204, 304].includes(answer.status))
    raw.setHeader('content-length', answer.bodyLength)
  holdBack(raw)
  raw.writeHead(answer.status, FIELD_TEXT.test(answer.statusText) ? answer.statusText : '')
  raw.flushHeaders()

  if (hasBody) answer.body.pipe(raw, { end: false })
  const { receipt, failure } = await answer.ended
  if (failure !== undefined) return breakOff(raw)
  if (isChunked) raw.addTrailers(Object.fromEntries(lastHeaders(receipt)))
  raw.end()
}

/** What is known with the first byte. */
function receiptHeaders(answer: StreamedAnswer): Headers {
  const { exit, timing } = answer
  const headers: Record<string, string | undefined> = {
    'cbtor-delivered': '1',
    'cbtor-status': String(answer.status),
    'cbtor-url': answer.url.length > MAX_URL ? undefined : answer.url,
    'cbtor-worker': answer.worker,
    'cbtor-route': answer.route,
    'cbtor-identity': answer.identity,
    'cbtor-exit': exit?.fingerprint,
    'cbtor-exit-nickname': exit?.nickname,
    'cbtor-exit-address': exit?.address,
    'cbtor-exit-country': exit?.country,
    'cbtor-circuit-path': pathText(answer),
    'cbtor-connection-reused': String(answer.connectionReused),
    'cbtor-session-moved': String(answer.sessionMoved ?? false),
    'cbtor-hedged': String(answer.hedged ?? false),
    'cbtor-attempts': answer.attempts.map(({ worker, outcome, ms }) => `${worker}=${outcome};ms=${roundMs(ms)}`).join(),
    'cbtor-redirects': String(answer.redirects.length),
    'cbtor-timing': Object.entries({
      queue: timing.queueMs,
      connect: timing.connectMs,
      tls: timing.tlsMs,
      first_byte: timing.firstByteMs,
    })
      .map(([name, ms]) => `${name};dur=${roundMs(ms)}`)
      .join(', '),
  }
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, printable(value, MAX_URL)] as const],
  )
}

function pathText(receipt: Receipt): string | undefined {
  if (!('circuitPath' in receipt)) return undefined
  const relays = receipt.circuitPath?.map(
    ({ fingerprint, nickname, country }) =>
      `${fingerprint};nickname=${nickname}${country ? `;country=${country}` : ''}`,
  )
  return relays?.join(', ') ?? 'unknown'
}

/** What is known when the body is over. */
function lastHeaders({ bytes, timing, truncated }: Receipt): Headers {
  return [
    ['CBTOR-Bytes', `received=${bytes.received}, sent=${bytes.sent}, body=${bytes.decoded}`],
    ['CBTOR-Body-Ms', String(roundMs(timing.bodyMs))],
    ['CBTOR-Total-Ms', String(roundMs(timing.totalMs))],
    ['CBTOR-Truncated', String(truncated)],
  ]
}

function foreignHeaders(received: Headers): Headers {
  return received.flatMap(([name, value]) => {
    const ours = foreignHeaderName(name)
    return ours === undefined || !FIELD_TEXT.test(value) ? [] : [[ours, value] as const]
  })
}

/** What is written in this turn of the loop goes out together: of a short answer all of it, for each write takes as long as much of the rest. */
function holdBack({ socket }: ServerResponse): void {
  socket?.cork()
  setImmediate(() => socket?.uncork())
}

/** In a way that nobody takes for an orderly end: where only that tells the end of a body, by a reset. */
function breakOff(raw: ServerResponse): void {
  const { socket } = raw
  while (socket !== null && socket.writableCorked > 0) socket.uncork() // what was held back is still said
  if (socket === null || raw.chunkedEncoding) {
    raw.destroy()
    return
  }
  try {
    socket.resetAndDestroy()
  } catch {
    socket.destroy() // a unix socket, or TLS
  }
}
