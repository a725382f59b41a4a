import { z } from 'zod'
import type { Attempt, FailureReceipt, Receipt, Timing } from '../../domain/exchange.ts'
import { IDENTITY_KINDS } from '../../domain/identity.ts'
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

const route = oneOf(['socks', 'transparent'])
const identity = oneOf(IDENTITY_KINDS).describe('What the circuits of the request were shared by.')
const exit = exitBody
  .nullable()
  .describe('The exit relay, as Tor tells it. Null for an onion service, which has none, and where nobody tells.')

const pathRelayBody = z.object({
  nickname: z.string(),
  fingerprint: z.string().describe('40 upper-case hexadecimal digits.'),
  country: z.string().nullable().describe("Where it is, by Tor's own GeoIP database."),
})

const timingFields = {
  queue_ms: milliseconds.describe('Choosing a worker.'),
  connect_ms: milliseconds.describe('Making the stream through Tor; 0 on a connection that was kept.'),
  tls_ms: milliseconds.describe('The TLS handshake; 0 on http and on a connection that was kept.'),
  first_byte_ms: milliseconds.describe("From the end of the request to the answer's first byte."),
  body_ms: milliseconds,
  total_ms: milliseconds.describe('Everything: other attempts and redirects included.'),
}

const byteFields = {
  received: count.describe('From the workers: TLS, headers, redirects and other attempts included.'),
  sent: count.describe('To the workers, likewise.'),
}

/** How an answer came about. */
export const receiptBody = z
  .object({
    worker: z.string().describe('The worker that delivered.'),
    route,
    identity,
    exit,
    circuit_path: z
      .array(pathRelayBody)
      .nullable()
      .optional()
      .describe(
        'With `circuit_path: true`: the relays of the circuit, guard first; for an onion service as far as the rendezvous point. Null when Tor did not tell in time.',
      ),
    connection_reused: z.boolean().describe('Whether a connection of an earlier request of this identity was used.'),
    session_moved: z
      .boolean()
      .describe('Whether the session of `sticky_key` came to another worker or exit, unasked, with this answer.'),
    hedged: z.boolean().describe('Whether a second worker was asked, too, because the first took long.'),
    attempts: z.array(attemptBody).describe('Each try on a worker, in order.'),
    redirects: z.array(redirectBody).describe('Each redirect that was followed, in order.'),
    timing: z.object(timingFields),
    bytes: z.object({
      ...byteFields,
      decoded: count.describe('The size of the body, after decompression and before `body_encoding`.'),
    }),
    truncated: z.boolean().describe('Whether the body goes on beyond `max_bytes`; only with `allow_truncated`.'),
  })
  .meta({ id: 'Receipt' })

/** How far a request came that failed. */
export const failureReceiptBody = z
  .object({
    worker: z.string().nullable().describe('The last worker that was tried.'),
    route: route.nullable().describe('Of the last connection that stood; null when none did.'),
    identity,
    exit,
    timing: z.object({
      ...timingFields,
      connect_ms: milliseconds.optional(),
      tls_ms: milliseconds.optional(),
      first_byte_ms: milliseconds.optional(),
      body_ms: milliseconds.optional(),
    }),
    bytes: z.object(byteFields),
  })
  .meta({ id: 'FailureReceipt' })

export type ReceiptBody = z.output<typeof receiptBody>

export function toReceiptBody(receipt: Receipt): ReceiptBody {
  const { exit, circuitPath, bytes } = receipt
  return {
    worker: receipt.worker,
    route: receipt.route,
    identity: receipt.identity,
    exit: exit ? toExitBody(exit) : null,
    ...('circuitPath' in receipt && {
      circuit_path:
        circuitPath?.map(({ nickname, fingerprint, country = null }) => ({ nickname, fingerprint, country })) ?? null,
    }),
    connection_reused: receipt.connectionReused,
    session_moved: receipt.sessionMoved ?? false,
    hedged: receipt.hedged ?? false,
    attempts: toAttemptBodies(receipt.attempts),
    redirects: [...receipt.redirects],
    timing: toTimingBody(receipt.timing),
    bytes: { received: bytes.received, sent: bytes.sent, decoded: bytes.decoded },
    truncated: receipt.truncated,
  }
}

export function toFailureReceiptBody(receipt: FailureReceipt): z.output<typeof failureReceiptBody> {
  const { worker = null, route = null, identity, exit, timing, bytes } = receipt
  const { connectMs, tlsMs } = timing
  return {
    ...{ worker, route, identity },
    exit: exit ? toExitBody(exit) : null,
    timing: {
      queue_ms: roundMs(timing.queueMs),
      ...(connectMs !== undefined && { connect_ms: roundMs(connectMs) }),
      ...(tlsMs !== undefined && { tls_ms: roundMs(tlsMs) }),
      total_ms: roundMs(timing.totalMs),
    },
    bytes: { received: bytes.received, sent: bytes.sent },
  }
}

export function toAttemptBodies(attempts: readonly Attempt[]): z.output<typeof attemptBody>[] {
  return attempts.map(({ worker, outcome, ms }) => ({ worker, outcome, ms: roundMs(ms) }))
}

function toTimingBody(timing: Timing): ReceiptBody['timing'] {
  return {
    queue_ms: roundMs(timing.queueMs),
    connect_ms: roundMs(timing.connectMs),
    tls_ms: roundMs(timing.tlsMs),
    first_byte_ms: roundMs(timing.firstByteMs),
    body_ms: roundMs(timing.bodyMs),
    total_ms: roundMs(timing.totalMs),
  }
}
