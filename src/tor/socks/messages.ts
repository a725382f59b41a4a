import {
  ADDRESS_TYPE,
  AUTH_VERSION,
  addressField,
  COMMAND,
  type Command,
  METHOD,
  SOCKS_VERSION,
} from '../../lib/socks5.ts'

/** What a client of SOCKS5 says, as bytes: RFC 1928, RFC 1929, and Tor's extensions (socks-extensions in Tor's specifications). */

/** The length of a field with a one-octet length before it. */
const MAX_FIELD_BYTES = 255

export interface SocksAuth {
  readonly username: string
  readonly password: string
}

/**
 * Offers one method only: a tor that is offered both may choose "none", and then it isolates nothing.
 *
 *     +----+----------+----------+
 *     |VER | NMETHODS | METHODS  |
 *     +----+----------+----------+
 *     | 1  |    1     | 1 to 255 |
 *     +----+----------+----------+
 */
export function greeting(auth: SocksAuth | undefined): Buffer {
  return Buffer.from([SOCKS_VERSION, 1, auth ? METHOD.usernamePassword : METHOD.none])
}

/**
 * RFC 1929. Throws `RangeError` for a user name or password that is empty or longer than 255 bytes, and for a user name
 * that begins with `<torS0X>`, which tor keeps for itself (proposal 351).
 *
 *     +----+------+----------+------+----------+
 *     |VER | ULEN |  UNAME   | PLEN |  PASSWD  |
 *     +----+------+----------+------+----------+
 *     | 1  |  1   | 1 to 255 |  1   | 1 to 255 |
 *     +----+------+----------+------+----------+
 */
export function authentication({ username, password }: SocksAuth): Buffer {
  if (username.startsWith('<torS0X>'))
    throw new RangeError('Cannot authenticate to SOCKS: the user name begins with "<torS0X>", which tor reserves')
  return Buffer.from([AUTH_VERSION, ...field('user name', username), ...field('password', password)])
}

/**
 * A name goes to Tor as it is and is never resolved here; IP literals (IPv6 without brackets) go as addresses. Throws
 * `RangeError` for what cannot be a host or port, and for an onion address with a trailing dot, which tor would take for a
 * clearnet name and show to an exit.
 *
 *     +----+-----+-------+------+----------+----------+
 *     |VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |
 *     +----+-----+-------+------+----------+----------+
 *     | 1  |  1  | X'00' |  1   | Variable |    2     |
 *     +----+-----+-------+------+----------+----------+
 */
export function request(command: Command, host: string, port: number): Buffer {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff || (command === 'connect' && port === 0))
    throw new RangeError(`Cannot ask SOCKS for a connection: ${port} is not a port`)
  const head = [SOCKS_VERSION, COMMAND[command], 0x00]
  return Buffer.from([...head, ...encodeAddress(host), port >> 8, port & 0xff])
}

function encodeAddress(host: string): number[] {
  const address = addressField(host)
  if (address !== undefined) return address
  if (!/^[\x21-\x7e]*$/.test(host))
    throw new RangeError('Cannot ask SOCKS for a host: its name has a space, a control character or is not ASCII')
  if (host.toLowerCase().endsWith('.onion.'))
    throw new RangeError('Cannot ask SOCKS for a host: an onion address with a trailing dot would go to an exit')
  return [ADDRESS_TYPE.name, ...field('host name', host)]
}

function field(name: string, value: string): number[] {
  const bytes = Buffer.from(value)
  if (bytes.length === 0 || bytes.length > MAX_FIELD_BYTES)
    throw new RangeError(`Cannot speak SOCKS: the ${name} has ${bytes.length} bytes instead of 1 to ${MAX_FIELD_BYTES}`)
  return [bytes.length, ...bytes]
}
