import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { Random } from './random.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Texts that only who has the secret can read or write: AES-256-GCM, by a key that HKDF-SHA256 derives of the secret. What is
 * sealed in one context (such as the name that it is kept under) cannot be opened in another, so nobody can put one in another's
 * place. 12 random bytes each: good for 2^32 texts of one secret (NIST SP 800-38D).
 */
export class Seal {
  /** Made once: of bytes, each text would make it anew. */
  readonly #key: KeyObject
  readonly #random: Pick<Random, 'bytes'>

  /** `secret`: at least 32 bytes. `purpose`: seals of one secret and different purposes cannot open each other's texts. */
  constructor(secret: Buffer, purpose: string, random: Pick<Random, 'bytes'>) {
    if (secret.length < 32) throw new RangeError(`Cannot seal: the secret has ${secret.length} bytes of 32`)
    this.#key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `cbtor ${purpose}`, 32)))
    this.#random = random
  }

  seal(context: string, text: string | Buffer): Buffer {
    const nonce = this.#random.bytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(Buffer.from(context))
    return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  }

  /** Undefined when it was not sealed in this context by who has the secret. */
  open(context: string, sealed: Buffer): Buffer | undefined {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE_BYTES))
    decipher.setAAD(Buffer.from(context))
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
    } catch {
      return undefined
    }
  }
}
