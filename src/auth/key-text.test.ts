import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Random, seededRandom, systemRandom } from '../lib/random.ts'
import { digestOf, drawKey, formatKey, splitKey } from './key-text.ts'

describe('the text of a key', () => {
  it('is a prefix, an id and 32 random bytes in base62, always of one length', () => {
    const zeros: Random = { ...seededRandom(1), bytes: (count) => Buffer.alloc(count) }
    const ones: Random = { ...seededRandom(1), bytes: (count) => Buffer.alloc(count, 0xff) }
    for (const random of [zeros, ones, ...Array.from({ length: 50 }, () => systemRandom)]) {
      assert.match(formatKey(drawKey(random)), /^cbt_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}$/)
    }
    assert.equal(drawKey(zeros).secret, '0'.repeat(43))
    assert.equal(numberOf(drawKey(ones).secret), 2n ** 256n - 1n)
  })

  it('is never drawn twice', () => {
    const drawn = Array.from({ length: 1_000 }, () => drawKey(systemRandom))
    assert.equal(new Set(drawn.map(({ secret }) => secret)).size, 1_000)
    assert.equal(new Set(drawn.map(({ id }) => id)).size, 1_000)
  })

  it('comes apart into what it was made of, and any other text into a secret that is nobody’s', () => {
    const key = drawKey(systemRandom)
    assert.deepEqual(splitKey(formatKey(key)), key)
    assert.deepEqual(splitKey('cbt_a_b_c'), { id: 'a', secret: 'b_c' })
    for (const text of ['', 'cbt_', 'cbt_x', 'x_y_z', ' cbt_a_b', 'CBT_a_b', 'Bearer']) {
      assert.deepEqual(splitKey(text), { id: '', secret: text })
    }
  })

  it('is kept as a digest of 32 bytes, whatever it is', () => {
    for (const secret of ['', 'a', '\u{1f511}', 'x'.repeat(20_000)]) assert.equal(digestOf(secret).length, 32)
  })
})

function numberOf(text: string): bigint {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  return [...text].reduce((value, digit) => value * 62n + BigInt(digits.indexOf(digit)), 0n)
}
