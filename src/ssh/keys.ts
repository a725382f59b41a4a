import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import ssh2 from 'ssh2'
import { printable } from '../lib/printable.ts'
import { SshError } from './errors.ts'

/** The kind of the keys that are made, and the one kind of host key that is pinned: dropbear and OpenSSH both have one, and one kind cannot be played against another. */
export const KEY_TYPE = 'ssh-ed25519'

/** `SHA256:` and the hash of a public key in base64 without padding, as `ssh-keygen -l` shows it. */
export function fingerprint(publicKey: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(publicKey).digest('base64').replace(/=+$/, '')}`
}

/** Throws `SshError` `invalid` unless `text` is a fingerprint as `fingerprint` gives it. */
export function checkFingerprint(text: string): string {
  if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) return text
  throw new SshError(
    'invalid',
    `Cannot pin the host key "${printable(text)}": a fingerprint is "SHA256:" and 43 characters of base64, as ssh-keygen -l shows it`,
  )
}

const RIGHT =
  'Right would be a key without passphrase in OpenSSH or PEM form, such as ssh-keygen -t ed25519 -N "" makes'

/** Throws `SshError` `invalid` unless `text` is a private key that can be used as it is. The text is in no message. */
export function checkPrivateKey(text: string): string {
  const wrong = (why: string) => new SshError('invalid', `Cannot use the private key: ${why}. ${RIGHT}`)
  if (text.trim() === '') throw wrong('it is empty')
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----/m.test(text)) throw wrong('it is encrypted with a passphrase')
  if (/^-----BEGIN PRIVATE KEY-----/m.test(text))
    throw wrong('it is in PKCS#8 form, which ssh-keygen -p -N "" -f FILE turns into OpenSSH form')
  const parsed: unknown = ssh2.utils.parseKey(text)
  if (parsed instanceof Error)
    throw wrong(/encrypted/i.test(parsed.message) ? 'it is encrypted with a passphrase' : 'it cannot be read as one')
  const key = (Array.isArray(parsed) ? parsed[0] : parsed) as ssh2.ParsedKey | undefined
  if (key === undefined) throw wrong('it holds no key')
  if (!key.isPrivateKey()) throw wrong('it is a public key')
  return text
}

export interface SshKeyPair {
  /** OpenSSH form, without passphrase, with a newline at its end. */
  readonly privateKey: string
  /** The line for authorized_keys, without a newline. */
  readonly authorizedKey: string
}

/**
 * A new ed25519 key. `comment` tells people whose key it is; letters, digits and `@._-` only. Written here, as one in some hundred
 * of those that ssh2 1.17 makes cannot be read, by itself neither.
 */
export function generateKeyPair(comment = 'cbtor'): SshKeyPair {
  if (!/^[\w@.-]{0,64}$/.test(comment))
    throw new SshError('invalid', `Cannot make a key with comment "${printable(comment)}"`)
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const publicPart = Buffer.from(x, 'base64url')
  const publicKey = Buffer.concat([field(KEY_TYPE), field(publicPart)])
  return {
    privateKey: openSshPrivateKey(publicKey, Buffer.concat([Buffer.from(d, 'base64url'), publicPart]), comment),
    authorizedKey: `${KEY_TYPE} ${publicKey.toString('base64')} ${comment}`.trimEnd(),
  }
}

/** OpenSSH's PROTOCOL.key, without encryption. */
function openSshPrivateKey(publicKey: Buffer, secret: Buffer, comment: string): string {
  // Twice the same number: whoever decrypts with a wrong passphrase would find two different ones.
  const check = randomBytes(4)
  const unpadded = Buffer.concat([check, check, publicKey, field(secret), field(comment)])
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, -unpadded.length & 7))
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...[field('none'), field('none'), field('')],
    uint32(1),
    field(publicKey),
    field(Buffer.concat([unpadded, padding])),
  ])
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

/** RFC 4251's `string`: its length, then its bytes. */
function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
