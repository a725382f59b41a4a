import { z } from 'zod'
import type { FetchAnswer } from '../../domain/exchange.ts'
import { encodeBody, type ResponseEncoding } from '../answer-body.ts'
import { count, exitBody, milliseconds, oneOf, roundMs, toExitBody } from './common.ts'

export const attemptBody = z.object({
  worker: z.string(),
  outcome: z
    .string()
    .describe(
      '`ok`, the code of the problem, or `hedge_lost`: another worker that was asked at the same time was faster.',
    ),
  ms: milliseconds,
})

export const redirectBody = z.object({ status: z.int(), from: z.string(), to: z.string() })

const timingBody = z.object({
  queue_ms: milliseconds.describe('Choosing a worker.'),
  connect_ms: milliseconds.describe('Making the stream through Tor; 0 on a connection that was kept.'),
  tls_ms: milliseconds.describe('The TLS handshake; 0 on http and on a connection that was kept.'),
  first_byte_ms: milliseconds.describe("From the end of the request to the answer's first byte."),
  body_ms: milliseconds,
  total_ms: milliseconds.describe('Everything: other attempts and redirects included.'),
})

export const fetchAnswerBody = z
  .object({
    url: z.string().describe('Where the answer came from, after redirects.'),
    status: z.int().describe("The target's status."),
    status_text: z.string(),
    headers: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .describe('Names in lower case. Several values of a name are joined by ", "; `set-cookie` is always a list.'),
    body: z.string(),
    body_encoding: oneOf(['text', 'base64']),
    bytes: count.describe('The size of the body, after decompression and before the encoding.'),
    worker: z.string().describe('The worker that delivered.'),
    route: oneOf(['socks', 'transparent']),
    exit: exitBody.nullable().describe('The exit relay, as Tor tells it. Null for an onion service, which has none.'),
    connection_reused: z.boolean().describe('Whether a connection of an earlier request of this identity was used.'),
    session_moved: z
      .boolean()
      .describe('Whether the session of `sticky_key` came to another worker or exit, unasked, with this answer.'),
    hedged: z.boolean().describe('Whether a second worker was asked, too, because the first took long.'),
    redirects: z.array(redirectBody).describe('Each redirect that was followed, in order.'),
    attempts: z.array(attemptBody).describe('Each try on a worker, in order.'),
    timing: timingBody,
  })
  .meta({ id: 'FetchAnswer' })

export type FetchAnswerBody = z.output<typeof fetchAnswerBody>

export function toFetchAnswerBody(answer: FetchAnswer, encoding: ResponseEncoding): FetchAnswerBody {
  const { exit, timing } = answer
  const contentType = answer.headers.find(([name]) => name === 'content-type')?.[1]
  return {
    url: answer.url,
    status: answer.status,
    status_text: answer.statusText,
    headers: joinHeaders(answer.headers),
    ...encodeBody(answer.body, contentType, encoding),
    bytes: answer.body.length,
    worker: answer.worker,
    route: answer.route,
    exit: exit ? toExitBody(exit) : null,
    connection_reused: answer.connectionReused,
    session_moved: answer.sessionMoved ?? false,
    hedged: answer.hedged ?? false,
    redirects: [...answer.redirects],
    attempts: toAttemptBodies(answer.attempts),
    timing: {
      queue_ms: roundMs(timing.queueMs),
      connect_ms: roundMs(timing.connectMs),
      tls_ms: roundMs(timing.tlsMs),
      first_byte_ms: roundMs(timing.firstByteMs),
      body_ms: roundMs(timing.bodyMs),
      total_ms: roundMs(timing.totalMs),
    },
  }
}

/** Cookies are a list because they may contain commas (RFC 6265 section 3). */
function joinHeaders(headers: FetchAnswer['headers']): FetchAnswerBody['headers'] {
  const joined = new Map<string, string | string[]>()
  for (const [name, value] of headers) {
    const earlier = joined.get(name)
    if (name === 'set-cookie') joined.set(name, [earlier ?? [], value].flat())
    else joined.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return Object.fromEntries(joined)
}

export function toAttemptBodies(attempts: FetchAnswer['attempts']): z.output<typeof attemptBody>[] {
  return attempts.map(({ worker, outcome, ms }) => ({ worker, outcome, ms: roundMs(ms) }))
}
