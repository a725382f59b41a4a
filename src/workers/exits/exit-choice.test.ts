import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { seededRandom } from '../../lib/random.ts'
import { isInPlace, pickByBandwidth, requireEnough, unrelatedTo } from './exit-choice.ts'
import { testExit } from './test-exits.ts'

const anywhere = { excludeCountries: [] }

describe('isInPlace()', () => {
  it('takes the country that is wanted, none that is excluded, and none of which nobody knows', () => {
    const [german, dutch] = [testExit(1), testExit(2, { country: 'nl' })]
    const { country: _, ...nowhere } = testExit(3)
    const names = (place: Parameters<typeof isInPlace>[1]) =>
      [german, dutch, nowhere].filter((exit) => isInPlace(exit, place)).map(({ nickname }) => nickname)
    assert.deepEqual(names(anywhere), ['exit1', 'exit2', 'exit3'])
    assert.deepEqual(names({ country: 'nl', excludeCountries: [] }), ['exit2'])
    assert.deepEqual(names({ excludeCountries: ['nl', 'us'] }), ['exit1'])
    assert.deepEqual(names({ country: 'nl', excludeCountries: ['nl'] }), [])
  })
})

describe('requireEnough()', () => {
  const minimum = { exits: 3, families: 2 }
  const refusal = (message: RegExp) => (error: Error) => {
    assert.equal(codeOf(error), 'no_exit_for_country_port')
    assert.match(error.message, message)
    return true
  }

  it('gives the exits that take the port', () => {
    const exits = [testExit(1), testExit(2), testExit(3), testExit(4, { ports: 'accept 80' })]
    assert.equal(requireEnough(exits, 443, anywhere, minimum).length, 3)
    assert.equal(requireEnough(exits, 80, anywhere, minimum).length, 4)
  })

  it('refuses when they are too few, or of too few families, and says how many there are', () => {
    const related = [1, 2, 3, 4].map((n) => testExit(n, { familyIds: ['x'] }))
    assert.throws(
      () => requireEnough([testExit(1), testExit(2)], 443, { country: 'de', excludeCountries: [] }, minimum),
      refusal(/2 exits of 2 families in de take port 443, and there must be 3 of 2/),
    )
    assert.throws(
      () => requireEnough(related, 80, { excludeCountries: ['us', 'gb'] }, minimum),
      refusal(/4 exits of 1 families outside us, gb take port 80/),
    )
  })
})

describe('unrelatedTo()', () => {
  it('leaves out the others and all who belong to them', () => {
    const other = testExit(1, { family: [2] })
    const exits = [other, testExit(2, { family: [1] }), testExit(3, { address: other.address }), testExit(4)]
    assert.deepEqual(
      unrelatedTo(exits, [other]).map(({ nickname }) => nickname),
      ['exit4'],
    )
  })
})

describe('pickByBandwidth()', () => {
  it('chooses each as often as its share', () => {
    const random = seededRandom(1)
    const exits = [1_000, 3_000, 0, 6_000].map((bandwidth, n) => testExit(n, { bandwidth }))
    const picked = Array.from({ length: 10_000 }, () => pickByBandwidth(exits, random))
    const counts = exits.map((exit) => picked.filter((each) => each === exit).length)
    assert.deepEqual(
      counts.map((count) => Math.round(count / 500)),
      [2, 6, 0, 12],
    )
  })

  it('chooses any when nobody has measured one, and none of none', () => {
    const exits = [0, 0].map((bandwidth, n) => testExit(n, { bandwidth }))
    const random = seededRandom(2)
    assert.equal(new Set(Array.from({ length: 50 }, () => pickByBandwidth(exits, random))).size, 2)
    assert.equal(pickByBandwidth([], random), undefined)
  })

  it('chooses the last that has any when rounding leaves nothing', () => {
    const exits = [1, 0].map((bandwidth, n) => testExit(n, { bandwidth }))
    assert.equal(pickByBandwidth(exits, { ...seededRandom(1), float: () => 1 })?.nickname, 'exit0')
  })
})
