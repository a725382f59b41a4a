import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { identifier, quote, requireLine, word } from './quote.ts'

describe('quote()', () => {
  it('escapes quotes and backslashes only', () => {
    assert.equal(quote('say "a\\b"\t\xff'), '"say \\"a\\\\b\\"\t\xff"')
  })

  it('refuses what would end the line or is no byte, without repeating the text', () => {
    for (const bad of ['\r', '\n', '\0', '\u20ac']) {
      assert.throws(() => quote(`secret${bad}SIGNAL HALT`), {
        name: 'TypeError',
        message: 'Cannot quote an argument: character 6 is CR, LF, NUL or no byte',
      })
    }
  })
})

describe('word() and identifier()', () => {
  it('pass what stands bare', () => {
    assert.equal(word('ns/id/$AB~x'), 'ns/id/$AB~x')
    assert.equal(identifier('__OwningControllerProcess'), '__OwningControllerProcess')
  })

  it('refuse what does not', () => {
    for (const bad of ['', 'a b', 'a\r\nSIGNAL HALT', '"', 'a\n', 'é']) {
      assert.throws(() => word(bad), TypeError)
      assert.throws(() => identifier(bad), TypeError)
    }
    assert.throws(() => identifier('SocksPort=1'), TypeError)
  })

  it('do not repeat what may be a key', () => {
    assert.throws(() => word('secret\n'), { message: 'Cannot send an argument: it is not one word of printable ASCII' })
  })
})

describe('requireLine()', () => {
  it('lets any other byte pass', () => {
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    requireLine(all.replace(/[\0\r\n]/g, ''), 'Cannot test')
    assert.throws(() => requireLine(all, 'Cannot test'), /^TypeError: Cannot test: character 0 is/)
  })
})
