import { createCipheriv, createHash } from 'node:crypto'
import { Readable } from 'node:stream'

const CHUNK = Buffer.alloc(64 * 1024)

/** `count` bytes that look random and are the same for the same seed: an AES-CTR key stream. */
export function pseudoRandomBytes(count: number, seed: string): Readable {
  return Readable.from(keyStream(count, seed), { objectMode: false })
}

function* keyStream(count: number, seed: string): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16))
  for (let left = count; left > 0; left -= CHUNK.length) {
    yield cipher.update(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
  }
}
