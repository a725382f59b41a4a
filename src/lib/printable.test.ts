import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { printable } from './printable.ts'

describe('printable()', () => {
  it('leaves plain text alone', () => {
    assert.equal(printable('tor01 is "fine"'), 'tor01 is "fine"')
  })

  it('replaces line ends, control characters, other scripts and halves of surrogate pairs', () => {
    assert.equal(printable('a\r\nb\u0000\u001b[31m\u202e\ud800é'), 'a??b??[31m???')
  })

  it('says that something was cut off', () => {
    assert.equal(printable('abcdefgh', 6), 'abc...')
    assert.equal(printable('abcdef', 6), 'abcdef')
  })

  it('never exceeds its limit nor lets anything else through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        assert.match(printable(text), /^[\x20-\x7e]{0,64}$/)
      }),
    )
  })
})
