import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { base32 } from './base32.ts'

it('gives the test vectors of RFC 4648, without their padding', () => {
  const vectors = {
    '': '',
    f: 'MY',
    fo: 'MZXQ',
    foo: 'MZXW6',
    foob: 'MZXW6YQ',
    fooba: 'MZXW6YTB',
    foobar: 'MZXW6YTBOI',
  }
  for (const [text, expected] of Object.entries(vectors)) assert.equal(base32(Buffer.from(text)), expected)
})

it('keeps every bit', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const bits = [...base32(bytes)].map((digit) =>
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(digit).toString(2).padStart(5, '0'),
      )
      const expected = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
      assert.equal(bits.join('').slice(0, expected.length), expected)
    }),
  )
})
