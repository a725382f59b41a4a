import { type Handshake, read, write } from '../../lib/handshake.ts'
import {
  ADDRESS_BYTES,
  ADDRESS_TYPE,
  AUTH_SUCCESS,
  AUTH_VERSION,
  addressText,
  type Command,
  METHOD,
  PORT_BYTES,
  REPLY_SUCCEEDED,
  SOCKS_VERSION,
} from '../../lib/socks5.ts'
import { hex, SocksProtocolError, SocksReplyError } from './errors.ts'
import { authentication, greeting, request, type SocksAuth } from './messages.ts'

export interface SocksCommand {
  readonly command: Command
  readonly host: string
  /** 0 for the two resolve commands. */
  readonly port: number
}

/**
 * Greeting and authentication. They are never sent together: tor loses its `05 02` answer when they come in one segment. `behind` is
 * sent right behind the credentials, or behind the greeting's answer when there are none.
 * Throws `RangeError` at once for credentials that cannot be sent.
 */
export function negotiate(auth: SocksAuth | undefined, behind?: Buffer): Handshake<void> {
  const hello = greeting(auth)
  const credentials = auth && authentication(auth)
  const message = Buffer.concat([credentials ?? NOTHING, behind ?? NOTHING])

  return (function* () {
    yield write(hello)
    /* +----+--------+
     * |VER | METHOD |
     * +----+--------+
     * | 1  |   1    |
     * +----+--------+ */
    const [version, method] = yield* read(2)
    if (version !== SOCKS_VERSION) throw unexpected('the greeting', 'version', version)
    if (method === METHOD.noneAcceptable)
      throw new SocksProtocolError(`The SOCKS proxy does not take ${auth ? 'a user name' : 'a client without one'}`)
    if (method !== hello[2]) throw unexpected('the greeting', 'method', method)
    if (message.length > 0) yield write(message)
    if (credentials === undefined) return
    /* +----+--------+
     * |VER | STATUS |
     * +----+--------+
     * | 1  |   1    |
     * +----+--------+ */
    const [authVersion, status] = yield* read(2)
    // tor answers a reserved user name with a SOCKS reply instead of RFC 1929's.
    const isRefused = authVersion === SOCKS_VERSION || (authVersion === AUTH_VERSION && status !== AUTH_SUCCESS)
    if (isRefused) throw new SocksProtocolError('The SOCKS proxy refused the user name and password')
    if (authVersion !== AUTH_VERSION) throw unexpected('authentication', 'version', authVersion)
  })()
}

/**
 * Greeting, authentication, and the request with `earlyData` right behind it. What follows the greeting leaves in one write, which tor
 * takes apart as it should: each answer less to wait for is a turn of its loop, and one that builds many circuits turns slowly.
 * Returns the address in the reply: of no interest after CONNECT, the answer after RESOLVE and RESOLVE_PTR. Throws `RangeError` at
 * once for what cannot be sent.
 */
export function ask(
  auth: SocksAuth | undefined,
  { command, host, port }: SocksCommand,
  earlyData: Uint8Array = NOTHING,
): Handshake<string> {
  const negotiation = negotiate(auth, Buffer.concat([request(command, host, port), earlyData]))

  return (function* () {
    yield* negotiation
    /* +----+-----+-------+------+----------+----------+
     * |VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |
     * +----+-----+-------+------+----------+----------+
     * | 1  |  1  | X'00' |  1   | Variable |    2     |
     * +----+-----+-------+------+----------+----------+ */
    const [version, reply = 0] = yield* read(2)
    if (version !== SOCKS_VERSION) throw unexpected('the request', 'version', version)
    // A refusal's address says nothing, so there is nothing to wait for.
    if (reply !== REPLY_SUCCEEDED) throw new SocksReplyError(reply)
    const [reserved, type] = yield* read(2)
    if (reserved !== 0) throw unexpected('the request', 'reserved octet', reserved)
    const address = yield* readAddress(type)
    yield* read(PORT_BYTES)
    return address
  })()
}

const NOTHING = Buffer.alloc(0)

function* readAddress(type: number | undefined): Handshake<string> {
  switch (type) {
    case ADDRESS_TYPE.ipv4:
      return addressText(yield* read(ADDRESS_BYTES.ipv4))
    case ADDRESS_TYPE.ipv6:
      return addressText(yield* read(ADDRESS_BYTES.ipv6))
    case ADDRESS_TYPE.name: {
      const [length = 0] = yield* read(1)
      // A host name of no bytes is not one, and a read of nothing would never end.
      if (length === 0) throw unexpected('the request', 'length of a name', length)
      return (yield* read(length)).toString('latin1')
    }
    default:
      throw unexpected('the request', 'address type', type)
  }
}

function unexpected(what: string, field: string, value = 0): SocksProtocolError {
  return new SocksProtocolError(`The SOCKS proxy's answer to ${what} is not SOCKS5: ${field} is 0x${hex(value)}`)
}
