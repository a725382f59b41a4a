import { createHash } from 'node:crypto'
import type { Random } from '../lib/random.ts'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 8
const SECRET_BYTES = 32
/** Of 32 bytes in base62, the smallest number included. */
const SECRET_LENGTH = 43

/** `cbt_ID_SECRET`. By its start, which nothing else has, scanners find keys where they should not be. */
export const KEY_PREFIX = 'cbt_'

export interface KeyText {
  readonly id: string
  readonly secret: string
}

export function drawKey(random: Random): KeyText {
  const id = Array.from({ length: ID_LENGTH }, () => BASE62[random.int(BASE62.length)]).join('')
  return { id, secret: base62(random.bytes(SECRET_BYTES)) }
}

export function formatKey({ id, secret }: KeyText): string {
  return `${KEY_PREFIX}${id}_${secret}`
}

/** Of any text: what is no key has no id, and a secret that is nobody's. */
export function splitKey(text: string): KeyText {
  const end = text.startsWith(KEY_PREFIX) ? text.indexOf('_', KEY_PREFIX.length) : -1
  return end === -1 ? { id: '', secret: text } : { id: text.slice(KEY_PREFIX.length, end), secret: text.slice(end + 1) }
}

/** Of the same length whatever the secret is, so that comparing two of them tells nothing. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

function base62(bytes: Buffer): string {
  let rest = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  while (text.length < SECRET_LENGTH) {
    text = BASE62[Number(rest % 62n)] + text
    rest /= 62n
  }
  return text
}
