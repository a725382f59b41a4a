import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** The words of SOCKS5 that both of its sides speak: RFC 1928, RFC 1929, and Tor's extensions (socks-extensions). */

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

/** The type and the bytes of an IP address, IPv6 without brackets; undefined for anything else. */
export function addressField(address: string): number[] | undefined {
  if (isIPv4(address)) return [ADDRESS_TYPE.ipv4, ...address.split('.').map(Number)]
  if (isIPv6(address) && !address.includes('%')) return [ADDRESS_TYPE.ipv6, ...ipv6Bytes(address)]
  return undefined
}

/** The text of the 4 or 16 bytes of an address. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === ADDRESS_BYTES.ipv4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}

function ipv6Bytes(address: string): number[] {
  // A URL parser knows all spellings and gives back hexadecimal groups with at most one "::".
  const [left = '', right = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const head = left.split(':').filter(Boolean)
  const tail = right.split(':').filter(Boolean)
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16)).flatMap((n) => [n >> 8, n & 0xff])
}
