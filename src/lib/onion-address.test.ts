import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeOnionAddress, parseOnionAddress } from './onion-address.ts'

/** The examples of rend-spec-v3 section 6. */
const EXAMPLES = [
  'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion',
  'sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd.onion',
  'xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd.onion',
]
const key = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('onion addresses', () => {
  it('accepts the examples of the specification and makes them from their keys again', () => {
    for (const example of EXAMPLES) {
      const parsed = parseOnionAddress(example)
      assert.ok(parsed.ok, example)
      assert.equal(encodeOnionAddress(parsed.address.publicKey), example)
    }
  })

  it('keeps the subdomain apart and ignores case', () => {
    const parsed = parseOnionAddress(`WWW.a.${EXAMPLES[0]?.toUpperCase()}`)
    assert.ok(parsed.ok)
    assert.equal(parsed.address.subdomain, 'www.a')
    assert.equal(parsed.address.service, EXAMPLES[0])
  })

  it('says what is wrong', () => {
    const [good = ''] = EXAMPLES
    for (const [host, fault] of [
      ['example.com', 'not-onion'],
      ['onion', 'not-onion'],
      ['', 'not-onion'],
      [`${good}.`, 'not-onion'],
      [`${good}.evil.example`, 'not-onion'],
      ['.onion', 'empty-label'],
      [`.${good}`, 'empty-label'],
      [`a..${good}`, 'empty-label'],
      ['expyuzz4wqqyqhjn.onion', 'version-2'],
      [good.slice(1), 'length'],
      [`a${good}`, 'length'],
      [`0${good.slice(1)}`, 'alphabet'],
      [`é${good.slice(1)}`, 'alphabet'],
      [good.replace('d.onion', 'e.onion'), 'version'],
      [`${'a'.repeat(55)}d.onion`, 'checksum'],
      [good.replace('pg6', 'pg7'), 'checksum'],
    ] as const)
      assert.deepEqual(parseOnionAddress(host), { ok: false, fault }, host)
  })

  it('parses what it encodes, for every key', () => {
    fc.assert(
      fc.property(key, (publicKey) => {
        const parsed = parseOnionAddress(encodeOnionAddress(publicKey))
        assert.ok(parsed.ok)
        assert.deepEqual([...parsed.address.publicKey], [...publicKey])
      }),
    )
  })

  it('notices every single wrong character but for one in 65,536', () => {
    let missed = 0
    fc.assert(
      fc.property(key, fc.nat(51), fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567'), (publicKey, at, letter) => {
        const address = encodeOnionAddress(publicKey)
        const mistyped = address.slice(0, at) + letter + address.slice(at + 1)
        if (mistyped !== address && parseOnionAddress(mistyped).ok) missed++
      }),
      { numRuns: 500 },
    )
    assert.ok(missed <= 1, `${missed} of 500 went unnoticed`)
  })

  it('refuses a key of another length', () => {
    assert.throws(() => encodeOnionAddress(new Uint8Array(31)), RangeError)
  })
})
