import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { ControlError } from '../tor/control/errors.ts'
import { hex, SocksProtocolError, SocksReplyError, SocksUnreachableError } from '../tor/socks/errors.ts'

/** Why a stream ended, as its STREAM event says (control-spec 4.1.2). Open: Tor adds reasons. */
export interface StreamReason {
  readonly reason: string | undefined
  readonly remoteReason: string | undefined
  /** The circuit that it was on; undefined when Tor refused it before it chose one. */
  readonly circuitId: string | undefined
}

/** What each SOCKS reply of Tor means to our caller. Tor's own names for them are in its `reasons.c`. */
const BY_REPLY: Readonly<Record<number, ProblemCode>> = {
  1: 'tor_failure',
  2: 'exit_policy',
  3: 'worker_network',
  4: 'resolve_failed',
  5: 'connection_refused',
  6: 'tor_timeout',
  7: 'internal',
  8: 'host_invalid',
  240: 'onion_not_found',
  241: 'onion_descriptor_invalid',
  242: 'onion_intro_failed',
  243: 'onion_rendezvous_failed',
  244: 'onion_auth_required',
  245: 'onion_auth_rejected',
  246: 'onion_address_invalid',
  247: 'onion_intro_timeout',
}

/** Where the reply says little (0x01 stands for eight things), the stream's own reason says more. */
const BY_REASON: ReadonlyMap<string, ProblemCode> = new Map([
  ['PRIVATE_ADDR', 'target_forbidden'],
  ['RESOLVEFAILED', 'resolve_failed'],
  ['NOROUTE', 'no_route'],
  ['CONNECTREFUSED', 'connection_refused'],
  ['CONNRESET', 'connection_refused'],
  ['DONE', 'connection_refused'],
  ['NET_UNREACHABLE', 'worker_network'],
  ['EXITPOLICY', 'exit_policy'],
  ['TIMEOUT', 'tor_timeout'],
])
/** The first of Tor's extended replies (proposal 304). */
const EXTENDED = 0xf0
/** Tor's own reasons for what no circuit was chosen for: it does not take the name. */
const OF_THE_NAME = new Set(['TORPROTOCOL', 'SOCKS_PROTOCOL'])

const WORDS: Partial<Record<ProblemCode, string>> = {
  tor_failure: 'Tor could not complete the stream',
  host_invalid: 'Tor takes no such name or address',
  exit_policy: "the exit relay's policy refuses it",
  worker_network: 'the worker has no network',
  resolve_failed: 'the exit relay could not resolve its name',
  no_route: 'the exit relay found no route to it',
  connection_refused: 'it refused the connection',
  tor_timeout: 'Tor gave up waiting',
  target_forbidden: 'its name stands for a private address',
  onion_not_found: 'the onion service has no descriptor, so it is offline or never existed',
  onion_descriptor_invalid: 'the descriptor of the onion service cannot be read',
  onion_intro_failed: 'the onion service did not answer the introduction',
  onion_rendezvous_failed: 'the rendezvous with the onion service failed',
  onion_auth_required: 'the onion service asks for client authorization',
  onion_auth_rejected: 'the onion service rejected the client authorization',
  onion_address_invalid: 'the onion address is not valid',
  onion_intro_timeout: 'the introduction to the onion service timed out',
}

export function problemOfReply(reply: number, stream?: StreamReason): ProblemCode {
  // An onion service's extended reply is more exact than any reason.
  if (reply < EXTENDED) {
    const refined = BY_REASON.get(stream?.remoteReason ?? '') ?? BY_REASON.get(stream?.reason ?? '')
    if (refined !== undefined) return refined
  }
  // Codes of the future: Tor's fault until we know better.
  return BY_REPLY[reply] ?? (reply >= EXTENDED ? 'tor_extended' : 'tor_failure')
}

/** What a stream's own reason means to our caller, where there was no reply. */
export function problemOfStream(stream: StreamReason): CbtorError {
  const code = problemOfReply(0x01, stream)
  return new CbtorError(code, `Cannot connect to the target: ${wordsOf(code, 0x01)}`)
}

function isOfTheName(reply: number, stream: StreamReason | undefined): boolean {
  return reply === 0x01 && stream?.circuitId === undefined && OF_THE_NAME.has(stream?.reason ?? '')
}

function wordsOf(code: ProblemCode, reply: number): string {
  return WORDS[code] ?? `Tor refused the request with 0x${hex(reply)}`
}

/** Foreign errors of the dial become ours here, and nowhere else. */
export function problemOfDial(error: unknown, worker: string, stream?: StreamReason): unknown {
  if (error instanceof SocksReplyError) {
    const code = isOfTheName(error.reply, stream) ? 'host_invalid' : problemOfReply(error.reply, stream)
    return new CbtorError(code, `Cannot connect to the target: ${wordsOf(code, error.reply)}`, { cause: error })
  }
  if (error instanceof SocksUnreachableError) {
    return new CbtorError('worker_unreachable', `Cannot connect through worker ${worker}: its Tor does not answer`, {
      cause: error,
    })
  }
  if (error instanceof SocksProtocolError) {
    return new CbtorError(
      'worker_unreachable',
      `Cannot connect through worker ${worker}: its Tor broke off the handshake`,
      { cause: error },
    )
  }
  return error
}

/** Foreign errors of the control connection become ours here. `attempt` goes on "Cannot ". */
export function problemOfControl(error: unknown, attempt: string): unknown {
  if (!(error instanceof ControlError)) return error
  return new CbtorError('worker_unreachable', `Cannot ${attempt}: its Tor does not answer on the control port`, {
    cause: error,
  })
}
