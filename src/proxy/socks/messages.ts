import type { ProblemCode } from '../../domain/problems.ts'
import { ADDRESS_TYPE, AUTH_VERSION, addressField, METHOD, SOCKS_VERSION } from '../../lib/socks5.ts'

/** RFC 1928 section 6. */
export const REPLY = {
  succeeded: 0x00,
  generalFailure: 0x01,
  notAllowed: 0x02,
  networkUnreachable: 0x03,
  hostUnreachable: 0x04,
  connectionRefused: 0x05,
  ttlExpired: 0x06,
  commandNotSupported: 0x07,
  addressTypeNotSupported: 0x08,
} as const
export type Reply = (typeof REPLY)[keyof typeof REPLY]

export const METHODS_REFUSED = Buffer.from([SOCKS_VERSION, METHOD.noneAcceptable])
export const AUTH_REFUSED = Buffer.from([AUTH_VERSION, 0x01])

export const SOCKS4_VERSION = 0x04
/** SOCKS4: version of the reply, "request rejected or failed", then a port and an address that mean nothing. */
export const SOCKS4_REFUSED = Buffer.from([0x00, 0x5b, 0, 0, 0, 0, 0, 0])

const NO_ADDRESS = [ADDRESS_TYPE.ipv4, 0, 0, 0, 0]

/** `address`: what RESOLVE has found. It says nothing in any other reply, for nobody is to learn where a stream leaves from. */
export function reply(code: Reply, address?: string): Buffer {
  const field = address === undefined ? NO_ADDRESS : (addressField(address) ?? NO_ADDRESS)
  return Buffer.from([SOCKS_VERSION, code, 0x00, ...field, 0, 0])
}

/**
 * SOCKS has few words for what can go wrong, and Tor's own for onion services (0xF0 to 0xF7) mean something only to clients that
 * know them. The API and the HTTP port tell more.
 */
export function replyCodeOf(code: ProblemCode): Reply {
  return REPLY_OF[code] ?? REPLY.generalFailure
}

const REPLY_OF: Partial<Readonly<Record<ProblemCode, Reply>>> = {
  target_forbidden: REPLY.notAllowed,
  port_not_allowed: REPLY.notAllowed,
  exit_policy: REPLY.notAllowed,
  exit_rule_unsupported: REPLY.notAllowed,
  resolve_unsupported: REPLY.commandNotSupported,
  onion_auth_required: REPLY.notAllowed,
  onion_auth_rejected: REPLY.notAllowed,
  worker_network: REPLY.networkUnreachable,
  resolve_failed: REPLY.hostUnreachable,
  no_route: REPLY.hostUnreachable,
  no_usable_exit: REPLY.hostUnreachable,
  no_exit_for_country_port: REPLY.hostUnreachable,
  onion_not_found: REPLY.hostUnreachable,
  onion_descriptor_invalid: REPLY.hostUnreachable,
  onion_intro_failed: REPLY.hostUnreachable,
  connection_refused: REPLY.connectionRefused,
  tor_timeout: REPLY.ttlExpired,
  timeout: REPLY.ttlExpired,
  onion_rendezvous_failed: REPLY.ttlExpired,
  onion_intro_timeout: REPLY.ttlExpired,
}
