import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'

/** A key pair of WireGuard's (Curve25519), each key as `wg` writes it: 32 bytes in base64, 44 characters. */
export interface WireguardKeys {
  readonly privateKey: string
  readonly publicKey: string
}

/** What stands before the 32 bytes of a Curve25519 private key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex')
const KEY_BYTES = 32

export function createWireguardKeys(): WireguardKeys {
  const { privateKey } = generateKeyPairSync('x25519')
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  const secret = Buffer.from(d, 'base64url')
  // As `wg genkey` does; X25519 ignores these bits, but a key that has them set is not shown unchanged by every tool.
  secret[0] = (secret[0] ?? 0) & 0xf8
  secret[31] = ((secret[31] ?? 0) & 0x7f) | 0x40
  return { privateKey: secret.toString('base64'), publicKey: Buffer.from(x, 'base64url').toString('base64') }
}

/** The public key of a private one, as `wg pubkey` computes it. Throws an `Error` if `privateKey` is no key. */
export function wireguardPublicKey(privateKey: string): string {
  if (!isWireguardKey(privateKey)) throw new Error('Cannot read a WireGuard private key: expected 32 bytes in base64')
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, Buffer.from(privateKey, 'base64')]),
    format: 'der',
    type: 'pkcs8',
  })
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' })
  return Buffer.from(x, 'base64url').toString('base64')
}

/** Whether `text` is 32 bytes in base64, written as `wg` writes them. */
export function isWireguardKey(text: string): boolean {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === KEY_BYTES && bytes.toString('base64') === text
}
