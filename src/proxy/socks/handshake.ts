import { type Handshake, read, write } from '../../lib/handshake.ts'
import {
  ADDRESS_BYTES,
  ADDRESS_TYPE,
  AUTH_SUCCESS,
  AUTH_VERSION,
  addressText,
  COMMAND,
  METHOD,
  PORT_BYTES,
  SOCKS_VERSION,
} from '../../lib/socks5.ts'
import type { AdmittedRouting } from '../routing.ts'
import { AUTH_REFUSED, METHODS_REFUSED, REPLY, reply, SOCKS4_REFUSED, SOCKS4_VERSION } from './messages.ts'

export interface SocksRequest {
  readonly command: 'connect' | 'resolve'
  /** As the client wrote it: a name, or an address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly routing: AdmittedRouting
}

/** The client gets `answer`, and its connection ends. Without an answer it did not speak SOCKS. */
export class SocksRefusal extends Error {
  override readonly name = 'SocksRefusal'
  readonly answer: Buffer | undefined

  constructor(reason: string, answer?: Buffer) {
    super(`Cannot serve the SOCKS client: ${reason}`)
    this.answer = answer
  }
}

/** Decides who may come in, and as whom. Both throw whatever keeps a client out; it is told no more than that. */
export interface Doorkeeper {
  /** Whether a client without credentials may come in. */
  readonly requiresPassword: boolean
  withoutCredentials(): AdmittedRouting
  withCredentials(userName: string, password: string): AdmittedRouting
}

/**
 * The server's side of SOCKS5 up to the request, without a socket: yields one step at a time, is resumed with the bytes that a
 * `read` asked for, returns what the client wants, or throws a `SocksRefusal`. What it does not know is refused as soon as it is
 * seen. (RFC 1928, RFC 1929, and RESOLVE of Tor's socks-extensions.)
 */
export function* serveHandshake(door: Doorkeeper): Handshake<SocksRequest> {
  const routing = yield* negotiate(door)
  const { command, host, port } = yield* readRequest()
  return { command, host, port, routing }
}

function* negotiate(door: Doorkeeper): Handshake<AdmittedRouting> {
  /* +----+----------+----------+
   * |VER | NMETHODS | METHODS  |
   * +----+----------+----------+
   * | 1  |    1     | 1 to 255 |
   * +----+----------+----------+ */
  const [version] = yield* read(1)
  if (version === SOCKS4_VERSION) throw new SocksRefusal('it speaks SOCKS4', SOCKS4_REFUSED)
  if (version !== SOCKS_VERSION) throw new SocksRefusal('it does not speak SOCKS')
  const [count = 0] = yield* read(1)
  const methods = count === 0 ? Buffer.alloc(0) : yield* read(count)
  // The user name says as whom its requests go, so it is asked for wherever there is one.
  if (methods.includes(METHOD.usernamePassword)) {
    yield write([SOCKS_VERSION, METHOD.usernamePassword])
    return yield* authenticate(door)
  }
  if (door.requiresPassword || !methods.includes(METHOD.none))
    throw new SocksRefusal('it offers no method that will do', METHODS_REFUSED)
  yield write([SOCKS_VERSION, METHOD.none])
  return door.withoutCredentials()
}

function* authenticate(door: Doorkeeper): Handshake<AdmittedRouting> {
  /* +----+------+----------+------+----------+
   * |VER | ULEN |  UNAME   | PLEN |  PASSWD  |
   * +----+------+----------+------+----------+
   * | 1  |  1   | 1 to 255 |  1   | 1 to 255 |
   * +----+------+----------+------+----------+ */
  const [version, userNameLength = 0] = yield* read(2)
  if (version !== AUTH_VERSION) throw new SocksRefusal('its authentication is not of RFC 1929', AUTH_REFUSED)
  if (userNameLength === 0) throw new SocksRefusal('its user name is empty', AUTH_REFUSED)
  const userName = (yield* read(userNameLength)).toString('latin1')
  const [passwordLength = 0] = yield* read(1)
  if (passwordLength === 0) throw new SocksRefusal('its password is empty', AUTH_REFUSED)
  const password = (yield* read(passwordLength)).toString('utf8')
  let routing: AdmittedRouting
  try {
    routing = door.withCredentials(userName, password)
  } catch {
    throw new SocksRefusal('its user name or password will not do', AUTH_REFUSED)
  }
  yield write([AUTH_VERSION, AUTH_SUCCESS])
  return routing
}

function* readRequest(): Handshake<Omit<SocksRequest, 'routing'>> {
  /* +----+-----+-------+------+----------+----------+
   * |VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |
   * +----+-----+-------+------+----------+----------+
   * | 1  |  1  | X'00' |  1   | Variable |    2     |
   * +----+-----+-------+------+----------+----------+ */
  const [version, code, reserved, type] = yield* read(4)
  if (version !== SOCKS_VERSION || reserved !== 0)
    throw new SocksRefusal('its request is not SOCKS5', reply(REPLY.generalFailure))
  const command = code === COMMAND.connect ? 'connect' : code === COMMAND.resolve ? 'resolve' : undefined
  if (command === undefined) throw new SocksRefusal('its command is not served', reply(REPLY.commandNotSupported))
  const host = yield* readAddress(type)
  const port = (yield* read(PORT_BYTES)).readUInt16BE()
  return { command, host, port }
}

function* readAddress(type: number | undefined): Handshake<string> {
  switch (type) {
    case ADDRESS_TYPE.ipv4:
      return addressText(yield* read(ADDRESS_BYTES.ipv4))
    case ADDRESS_TYPE.ipv6:
      return addressText(yield* read(ADDRESS_BYTES.ipv6))
    case ADDRESS_TYPE.name: {
      const [length = 0] = yield* read(1)
      const name = length === 0 ? '' : (yield* read(length)).toString('latin1')
      // Other bytes than these are no host name in any spelling; what of the rest is one is for the target policy.
      if (!/^[\x21-\x7e]+$/.test(name)) throw new SocksRefusal('its name is no host', reply(REPLY.generalFailure))
      return name
    }
    default:
      throw new SocksRefusal('its address type is unknown', reply(REPLY.addressTypeNotSupported))
  }
}
