import { createHash } from 'node:crypto'

/**
 * Version 3 onion addresses, rend-spec-v3 section 6 (ONIONADDRESS):
 *
 *     onion_address = base32(PUBKEY | CHECKSUM | VERSION) + ".onion"
 *     CHECKSUM = SHA3-256(".onion checksum" | PUBKEY | VERSION)[:2]
 *     VERSION = 0x03
 */
export interface OnionAddress {
  /** The service's own name, `<56 characters>.onion` in lower case, without the subdomain. */
  readonly service: string
  /** What stands before it, without the dot. Empty for most. Tor ignores it, the service may not. */
  readonly subdomain: string
  /** The service's ed25519 identity key, 32 bytes. Whether it is a point of the curve is for tor to say. */
  readonly publicKey: Buffer
}

export type OnionAddressFault =
  | 'not-onion' // does not end with ".onion"
  | 'empty-label' // has a dot too many
  | 'version-2' // the 16 characters of a version 2 address, which Tor gave up in 2021
  | 'length' // not 56 characters
  | 'alphabet' // not base32: a to z and 2 to 7
  | 'version' // of a version that nobody knows yet
  | 'checksum' // mistyped, or made up

export type ParsedOnionAddress =
  | { readonly ok: true; readonly address: OnionAddress }
  | { readonly ok: false; readonly fault: OnionAddressFault }

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const VERSION = 3
const KEY_BYTES = 32
const CHECKSUM_BYTES = 2
const SERVICE_CHARACTERS = 56

/** Parses a host name in any case, with or without subdomains, but without a trailing dot. Tells the first fault. */
export function parseOnionAddress(host: string): ParsedOnionAddress {
  const labels = host.toLowerCase().split('.')
  if (labels.pop() !== 'onion') return fault('not-onion')
  const name = labels.pop()
  if (name === undefined) return fault('not-onion')
  if (name === '' || labels.includes('')) return fault('empty-label')
  if (/^[a-z2-7]{16}$/.test(name)) return fault('version-2')
  if (name.length !== SERVICE_CHARACTERS) return fault('length')
  if (!/^[a-z2-7]*$/.test(name)) return fault('alphabet')

  const bytes = base32Decode(name)
  const publicKey = bytes.subarray(0, KEY_BYTES)
  if (bytes.at(-1) !== VERSION) return fault('version')
  if (!checksum(publicKey).equals(bytes.subarray(KEY_BYTES, KEY_BYTES + CHECKSUM_BYTES))) return fault('checksum')
  return { ok: true, address: { service: `${name}.onion`, subdomain: labels.join('.'), publicKey } }
}

/** The onion address of the service with this ed25519 key. Throws `RangeError` unless it has 32 bytes. */
export function encodeOnionAddress(publicKey: Uint8Array): string {
  if (publicKey.length !== KEY_BYTES)
    throw new RangeError(`Cannot make an onion address: the key has ${publicKey.length} bytes instead of ${KEY_BYTES}`)
  return `${base32Encode(Buffer.concat([publicKey, checksum(publicKey), Buffer.from([VERSION])]))}.onion`
}

function checksum(publicKey: Uint8Array): Buffer {
  const hash = createHash('sha3-256')
    .update('.onion checksum')
    .update(publicKey)
    .update(Buffer.from([VERSION]))
  return hash.digest().subarray(0, CHECKSUM_BYTES)
}

/** RFC 4648 section 6, in lower case and without padding: an address is a whole number of 5-byte groups. */
function base32Encode(bytes: Uint8Array): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  return bits.replace(/.{5}/g, (group) => ALPHABET[Number.parseInt(group, 2)] ?? '')
}

function base32Decode(text: string): Buffer {
  let bits = ''
  for (const character of text) bits += ALPHABET.indexOf(character).toString(2).padStart(5, '0')
  return Buffer.from(bits.match(/.{8}/g)?.map((octet) => Number.parseInt(octet, 2)) ?? [])
}

function fault(fault: OnionAddressFault): ParsedOnionAddress {
  return { ok: false, fault }
}
