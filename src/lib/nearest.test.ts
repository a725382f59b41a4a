import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearest } from './nearest.ts'

describe('the nearest word', () => {
  it('is the one that was meant', () => {
    const known = ['listen', 'limits', 'health.check_interval', 'log', 'log_format']
    const cases: [word: string, meant: string | undefined][] = [
      ['lisen', 'listen'],
      ['lisetn', 'listen'],
      ['LISTEN', 'listen'],
      ['limit', 'limits'],
      ['health.check_intervall', 'health.check_interval'],
      ['logg', 'log'],
      ['colour', undefined],
      ['x', undefined],
      ['', undefined],
    ]
    assert.deepEqual(
      cases.map(([word]) => nearest(word, known)),
      cases.map(([, meant]) => meant),
    )
    assert.equal(nearest('x'.repeat(1e6), known), undefined)
  })

  it('is found by a distance', () => {
    const word = fc.string({ maxLength: 8 })
    fc.assert(
      fc.property(word, word, (a, b) => {
        assert.equal(editDistance(a, b), editDistance(b, a))
        assert.equal(editDistance(a, b) === 0, a === b)
        assert.ok(editDistance(a, b) <= Math.max(a.length, b.length))
        assert.equal(editDistance(a, `${a}x`), 1)
      }),
    )
  })
})
