/** The ClientHello of TLS (RFC 8446, section 4.1.2), as far as the suite looks at it. */

export interface ClientHello {
  /** The length of each extension's data, by its number. */
  readonly extensions: ReadonlyMap<number, number>
  readonly sessionIdLength: number
}

/** Throws when `bytes` do not begin with the whole of one in a single record. */
export function extensionsOf(bytes: Buffer): ClientHello {
  const HANDSHAKE = 22
  const CLIENT_HELLO = 1
  if (bytes[0] !== HANDSHAKE || bytes[5] !== CLIENT_HELLO) throw new Error('Not a ClientHello')
  // Record header, handshake header, version and random.
  let at = 5 + 4 + 2 + 32
  const sessionIdLength = bytes.readUInt8(at)
  at += 1 + sessionIdLength
  at += 2 + bytes.readUInt16BE(at)
  at += 1 + bytes.readUInt8(at)
  const end = at + 2 + bytes.readUInt16BE(at)
  at += 2
  const extensions = new Map<number, number>()
  while (at < end) {
    const length = bytes.readUInt16BE(at + 2)
    extensions.set(bytes.readUInt16BE(at), length)
    at += 4 + length
  }
  return { extensions, sessionIdLength }
}
