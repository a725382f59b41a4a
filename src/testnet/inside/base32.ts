const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 base32, in capitals and without padding, as Tor writes keys. */
export function base32(bytes: Uint8Array): string {
  let bits = 0n
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte)
  const padding = (5 - ((bytes.length * 8) % 5)) % 5
  bits <<= BigInt(padding)
  const length = (bytes.length * 8 + padding) / 5
  return Array.from({ length }, (_, index) => ALPHABET[Number((bits >> BigInt(5 * (length - 1 - index))) & 31n)]).join(
    '',
  )
}
