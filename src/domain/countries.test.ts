import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isCountryCode } from './countries.ts'

describe('isCountryCode()', () => {
  it('knows the 249 countries of ISO 3166-1 and Kosovo', () => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz']
    const known = letters.flatMap((a) => letters.map((b) => a + b)).filter(isCountryCode)
    assert.equal(known.length, 250)
    const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
    assert.deepEqual(
      known.filter((code) => names.of(code.toUpperCase()) === undefined),
      [],
    )
  })

  it('knows nothing else', () => {
    const cases = [
      '',
      'd',
      'DE',
      'De',
      'deu',
      'uk',
      'eu',
      'zz',
      '{de}',
      'de\r\n',
      ' de',
      '__proto__',
      'us; ExitNodes {ru}',
    ]
    for (const text of cases) assert.equal(isCountryCode(text), false, text)
  })
})
