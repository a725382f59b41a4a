/** RFC 1928 section 6, then Tor's extended codes (`ExtendedErrors` in tor(1), proposal 304). */
const REPLY_NAMES: Readonly<Record<number, string>> = {
  0: 'succeeded',
  1: 'general SOCKS server failure',
  2: 'connection not allowed by ruleset',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'TTL expired',
  7: 'command not supported',
  8: 'address type not supported',
  240: 'onion service descriptor can not be found',
  241: 'onion service descriptor is invalid',
  242: 'onion service introduction failed',
  243: 'onion service rendezvous failed',
  244: 'onion service missing client authorization',
  245: 'onion service wrong client authorization',
  246: 'onion service invalid address',
  247: 'onion service introduction timed out',
}

/**
 * What can go wrong between us and a SOCKS proxy:
 *
 *     SocksUnreachableError  there is nobody who speaks SOCKS: refused, no such socket, closed before the first answer
 *     SocksProtocolError     somebody is there, but what it says is not what RFC 1928 and 1929 allow, or it hung up half way
 *     SocksReplyError        it answered properly, and the answer is no
 */
export class SocksReplyError extends Error {
  override readonly name = 'SocksReplyError'
  /** The REP octet, 0x01 to 0xFF. Codes of the future are kept as they are. */
  readonly reply: number
  /** Its meaning in words. `unknown` for a code that is in no list. */
  readonly replyName: string

  constructor(reply: number) {
    const replyName = REPLY_NAMES[reply] ?? 'unknown'
    super(`The SOCKS proxy refused the request: ${replyName} (0x${hex(reply)})`)
    this.reply = reply
    this.replyName = replyName
  }
}

export class SocksProtocolError extends Error {
  override readonly name = 'SocksProtocolError'
}

export class SocksUnreachableError extends Error {
  override readonly name = 'SocksUnreachableError'
}

export function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}
