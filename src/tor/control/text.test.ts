import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { quote } from './quote.ts'
import { parseNumber, splitFields, splitList, unquote } from './text.ts'

const anyBytes = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)) })
const lineBytes = anyBytes.map((text) => text.replace(/[\r\n\0]/g, ''))

describe('unquote()', () => {
  it('reads the C escapes that Tor writes, and a backslash before anything else as that', () => {
    assert.equal(unquote(String.raw`"a\nb\tc\rd"`), 'a\nb\tc\rd')
    assert.equal(unquote(String.raw`"\001\377\0\18\400\47"`), '\x01\xff\0\x018\x200\x27')
    assert.equal(unquote(String.raw`"\"\\\x\q\8"`), '"\\xq8')
  })

  it('leaves a value that is not one quoted string as it is', () => {
    for (const text of [
      '',
      'a b',
      String.raw`C:\new "file"`,
      '"unix:/a b" Flag',
      '"open',
      '"',
      '"open\\',
      '"open\\"',
    ]) {
      assert.equal(unquote(text), text)
    }
  })

  it('gives back what quote() was given', () => {
    fc.assert(fc.property(lineBytes, (text) => assert.equal(unquote(quote(text)), text)))
  })
})

describe('splitFields()', () => {
  it('tells words from pairs, in any order, quoted or not', () => {
    const { words, values } = splitFields('42 BUILT A="x y" extra B=z C="" D= "two words"', 2)
    assert.deepEqual(words, ['42', 'BUILT', 'extra', 'two words'])
    assert.deepEqual(
      [...values],
      [
        ['A', 'x y'],
        ['B', 'z'],
        ['C', ''],
        ['D', ''],
      ],
    )
  })

  it('takes the first words as they are, even those that look like pairs', () => {
    const { words, values } = splitFields('7 NEW 0 PURPOSE=USER:80 PURPOSE=DNS_REQUEST', 4)
    assert.deepEqual(words, ['7', 'NEW', '0', 'PURPOSE=USER:80'])
    assert.deepEqual([...values], [['PURPOSE', 'DNS_REQUEST']])
  })

  it('does not take a fingerprint with a nickname for a pair', () => {
    assert.deepEqual(splitFields('$AB=nick', 0).words, ['$AB=nick'])
  })

  it('reads several quoted values', () => {
    assert.deepEqual(splitFields('"127.0.0.1:9050" "unix:/a b"', Infinity).words, ['127.0.0.1:9050', 'unix:/a b'])
  })

  it('ends a quote that is not closed with the line', () => {
    assert.deepEqual(splitFields('A="b c', 0).values.get('A'), 'b c')
    assert.deepEqual(splitFields('A="b\\" c', 0).values.get('A'), 'b" c')
    assert.deepEqual(splitFields('A="b\\', 0).values.get('A'), 'b\\')
    assert.deepEqual(splitFields('"', 0).words, [''])
  })

  it('is total, and finds every pair of a well-formed line', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[A-Z][A-Z_]{0,9}$/), lineBytes), anyBytes, (pairs, junk) => {
        const line = Object.entries(pairs).map(([key, value]) => `${key}=${quote(value)}`)
        assert.deepEqual([...splitFields(line.join(' '), 0).values], Object.entries(pairs))
        splitFields(line.join(junk), 3)
      }),
    )
  })
})

describe('splitList() and parseNumber()', () => {
  it('read lists and numbers, and nothing else', () => {
    assert.deepEqual(splitList('A,B'), ['A', 'B'])
    assert.deepEqual(splitList(''), [])
    assert.deepEqual(splitList(undefined), [])
    assert.deepEqual(['7', '-6', '0.137097', '', '1e9', 'one', ' 1', '9'.repeat(30)].map(parseNumber), [
      7,
      -6,
      0.137097,
      ...Array(5).fill(undefined),
    ])
  })
})
