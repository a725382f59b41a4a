/**
 * What replicas say to each other at a worker port, one JSON object a line. A connection begins with one line of who dialled; the answer
 * is a line as well. Behind it, a `connect` carries the bytes of its stream, and a `watch` further messages in both directions.
 *
 * Of another minor version fields and messages may be unknown, and are passed over; another major version is another `v`.
 */
import { z } from 'zod'
import { CbtorError } from '../../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../../domain/problems.ts'
import { printable } from '../../lib/printable.ts'

export const PROTOCOL = 1

/** A first line: early data, in base64, and a long name. */
export const MAX_FIRST_LINE = 64 * 1024
/** An inspection of a Tor with a thousand circuits. */
export const MAX_MESSAGE = 1024 * 1024
/** Each end of a `watch` says something as often as that. */
export const BEAT_MS = 1_000
/** One that has been silent for so long is gone, or hangs. */
export const SILENT_MS = 6_000
const MAX_TEXT = 500

const text = z.string().max(MAX_TEXT)
const token = z.string().min(1).max(128)
const id = z.string().min(1).max(64)
const hosts = z.string().regex(/^[\x21-\x7e]{1,255}$/)
const country = z.string().max(8)
/** What our own types have as a field that may be undefined. */
const maybe = <T extends z.ZodType>(type: T) => type.optional().transform((value) => value)

const identity = z.object({
  owner: z.string().max(256).exactOptional(),
  token,
  isOneOff: z.boolean(),
  keepsExit: z.boolean(),
  exit: z
    .object({
      country: country.exactOptional(),
      excludeCountries: z.array(country).max(300).readonly(),
      notBy: z.array(z.string().max(64)).max(1_000).readonly(),
    })
    .exactOptional(),
})

/** `to`: the replica that was meant. `session`: drawn by who dials; a stream ends with the `watch` of its session. */
const opening = { v: z.int(), to: id, session: id, worker: id }

export const firstLine = z.discriminatedUnion('op', [
  z.object({
    ...opening,
    op: z.literal('connect'),
    stream: z.int(),
    target: z.object({ host: hosts, port: z.int().min(1).max(0xffff) }),
    identity,
    early: z.base64().exactOptional(),
    mustBeConfirmed: z.boolean().exactOptional(),
    isCheck: z.boolean().exactOptional(),
  }),
  z.object({ ...opening, op: z.literal('watch'), from: id }),
])
export type FirstLine = z.infer<typeof firstLine>

export const problemAnswer = z.object({ problem: z.string(), message: text, retryAfterMs: z.number().exactOptional() })

/** Instants are told as ages: the clocks of two machines may differ by hours. */
const state = z.object({
  process: z.enum(['stopped', 'starting', 'running', 'exited', 'unknown']),
  bootstrap: z.object({ progress: z.number(), tag: text, summary: text }),
  torVersion: maybe(text),
  upMs: maybe(z.number()),
  problem: maybe(text),
  circuits: maybe(z.object({ open: z.number(), clean: z.number(), built: z.number(), failed: z.number() })),
  /** Until an order for new circuits would take effect. */
  actInMs: z.number(),
})
export type PeerState = z.infer<typeof state>

export const streamAnswer = z.union([
  z.object({
    ok: z.literal(true),
    route: z.enum(['socks', 'transparent']),
    isUnconfirmed: z.literal(true).exactOptional(),
    hasPath: z.boolean(),
  }),
  problemAnswer,
])
export const watchAnswer = z.union([z.object({ ok: z.literal(true), state }), problemAnswer])

const exit = z.object({
  nickname: text,
  fingerprint: z.string().max(64),
  address: z.string().max(64).exactOptional(),
  country: country.exactOptional(),
})
const relay = exit.omit({ address: true })

const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('progressed'), progress: z.number() }),
  z.object({ type: z.literal('lost'), reason: text }),
  z.object({ type: z.literal('storm-stopped'), circuits: z.number(), ms: z.number() }),
  z.object({ type: z.literal('isolation-missing'), missing: z.array(text).readonly() }),
])

/** What the owner of a worker says to who watches it. */
export const ofOwner = z.discriminatedUnion('t', [
  z.object({ t: z.literal('beat') }),
  z.object({ t: z.literal('state'), state }),
  z.object({ t: z.literal('event'), event }),
  z.object({ t: z.literal('exit'), stream: z.int(), exit: exit.optional() }),
  z.object({ t: z.literal('path'), stream: z.int(), path: z.array(relay).readonly().optional() }),
  z.object({ t: z.literal('answer'), id: z.int(), value: z.unknown() }),
  z.object({ t: z.literal('failed'), id: z.int(), ...problemAnswer.shape }),
])
export type OfOwner = z.input<typeof ofOwner>

export const order = z.discriminatedUnion('op', [
  z.object({ op: z.literal('pulse') }),
  z.object({ op: z.literal('new-circuits') }),
  z.object({ op: z.literal('inspect') }),
  z.object({ op: z.literal('warm-up') }),
  z.object({ op: z.literal('resolve'), host: hosts, identity }),
  z.object({ op: z.literal('restart') }),
])
export type Order = z.infer<typeof order>

/** What who watches says to the owner. */
export const ofWatcher = z.discriminatedUnion('t', [
  z.object({ t: z.literal('beat') }),
  z.object({ t: z.literal('ask'), id: z.int(), order }),
  z.object({ t: z.literal('cancel'), id: z.int() }),
  z.object({ t: z.literal('forget'), identity }),
  /** Its stream was destroyed, not ended: TLS does not tell the two apart. */
  z.object({ t: z.literal('left'), stream: z.int() }),
])
export type OfWatcher = z.input<typeof ofWatcher>

/** What comes of the orders. */
export const newCircuitsDone = z.object({
  actedAgoMs: z.number(),
  actInMs: z.number(),
  exitsBefore: z.array(exit),
  exitsAfter: z.array(exit),
})
export const resolved = z.object({ address: z.string().max(255) })
const maybeNumber = maybe(z.number())
export const inspected = z.object({
  circuits: maybe(
    z.array(
      z.object({
        id: text,
        status: text,
        purpose: maybe(text),
        path: z.array(exit.extend({ nickname: maybe(text) })),
        createdAt: maybeNumber,
        isTaken: z.boolean(),
      }),
    ),
  ),
  guards: maybe(
    z.array(z.object({ nickname: maybe(text), fingerprint: z.string().max(64), status: text, since: maybeNumber })),
  ),
  traffic: maybe(z.object({ readBytes: z.number(), writtenBytes: z.number() })),
  torVersion: maybe(text),
  consensus: maybe(z.object({ validAfter: z.number(), freshUntil: z.number(), validUntil: z.number() })),
  clockSkew: maybe(z.object({ seconds: z.number(), noticedAt: z.number() })),
  socksListeners: maybe(z.array(text)),
})

/** A fault as it goes over the wire. Of what is no `CbtorError`, nothing is told: its message is not for strangers. */
export function problemOf(error: unknown): z.infer<typeof problemAnswer> {
  if (!(error instanceof CbtorError))
    return { problem: 'internal', message: 'An error of the replica that has the worker' }
  const { code, message, retryAfterMs } = error
  return { problem: code, message: printable(message, MAX_TEXT), ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

/** The same fault here. One that a newer version has is Tor's until we know better, and may have come after bytes were sent. */
export function errorOf({ problem: code, message, retryAfterMs }: z.infer<typeof problemAnswer>): CbtorError {
  const known: ProblemCode = isProblemCode(code) ? code : 'tor_failure'
  return new CbtorError(known, printable(message, MAX_TEXT), { ...(retryAfterMs !== undefined && { retryAfterMs }) })
}

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code)
}
