import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** The messages of SOCKS5 as bytes: RFC 1928, RFC 1929, and Tor's extensions (socks-extensions in Tor's specifications). */

export const SOCKS_VERSION = 0x05
/** RFC 1929's own version, of the user name/password subnegotiation. */
export const AUTH_VERSION = 0x01
export const AUTH_SUCCESS = 0x00
export const REPLY_SUCCEEDED = 0x00

export const METHOD = { none: 0x00, usernamePassword: 0x02, noneAcceptable: 0xff } as const

/** RESOLVE and RESOLVE_PTR are Tor's own. */
export const COMMAND = { connect: 0x01, resolve: 0xf0, resolvePtr: 0xf1 } as const
export type Command = keyof typeof COMMAND

export const ADDRESS_TYPE = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const
export const ADDRESS_BYTES = { ipv4: 4, ipv6: 16 } as const
export const PORT_BYTES = 2

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
  if (isIPv4(host)) return [ADDRESS_TYPE.ipv4, ...host.split('.').map(Number)]
  if (isIPv6(host) && !host.includes('%')) return [ADDRESS_TYPE.ipv6, ...ipv6Bytes(host)]
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

function ipv6Bytes(address: string): number[] {
  // A URL parser knows all spellings and gives back hexadecimal groups with at most one "::".
  const [left = '', right = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const head = left.split(':').filter(Boolean)
  const tail = right.split(':').filter(Boolean)
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16)).flatMap((n) => [n >> 8, n & 0xff])
}

/** The text of the 4 or 16 bytes of an address. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === ADDRESS_BYTES.ipv4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}
