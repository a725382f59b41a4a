import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { areRelated, countFamilies } from './exit-relay.ts'
import { testExit } from './test-exits.ts'

describe('areRelated()', () => {
  it('relates exits that declare each other, share a proven family or an address, and each to itself', () => {
    const cases = [
      [testExit(1), testExit(1)],
      [testExit(1, { family: [2] }), testExit(2, { family: [1, 3] })],
      [testExit(1, { familyIds: ['ed25519:a', 'ed25519:b'] }), testExit(2, { familyIds: ['ed25519:b'] })],
      [testExit(1, { address: '203.0.113.7' }), testExit(2, { address: '203.0.113.7' })],
    ] as const
    for (const [a, b] of cases) assert.ok(areRelated(a, b) && areRelated(b, a))
  })

  it('does not relate exits of which only one says so', () => {
    assert.equal(areRelated(testExit(1, { family: [2] }), testExit(2)), false)
    assert.equal(areRelated(testExit(1, { family: [3] }), testExit(2, { family: [3] })), false)
  })
})

describe('countFamilies()', () => {
  it('counts exits that are related by others as one', () => {
    const exits = [
      testExit(1, { family: [2] }),
      testExit(2, { family: [1], address: '203.0.113.7' }),
      testExit(3, { familyIds: ['x'], address: '203.0.113.7' }),
      testExit(4, { familyIds: ['x'] }),
      testExit(5, { family: [1, 2, 3, 4] }),
    ]
    assert.equal(countFamilies(exits), 2)
    assert.equal(countFamilies([]), 0)
  })

  it('agrees with what can be reached from one exit to the next by relations', () => {
    const exit = fc.record({
      family: fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 4 }),
      familyIds: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 1 }),
      address: fc.constantFrom('203.0.113.1', '203.0.113.2', undefined),
    })
    fc.assert(
      fc.property(fc.array(exit, { maxLength: 12 }), (drawn) => {
        const exits = drawn.map(({ address, ...each }, n) => testExit(n, { ...each, ...(address && { address }) }))
        const left = new Set(exits)
        let groups = 0
        for (const first of exits) {
          if (!left.delete(first)) continue
          groups++
          for (const group = [first]; group.length > 0; ) {
            const next = group.pop()
            for (const other of left) if (next && areRelated(next, other) && left.delete(other)) group.push(other)
          }
        }
        assert.equal(countFamilies(exits), groups)
      }),
    )
  })

  it('counts no further than it has to', () => {
    const exits = Array.from({ length: 20 }, (_, n) => testExit(n))
    assert.equal(countFamilies(exits, 3), 3)
    assert.equal(countFamilies(exits, 50), 20)
  })
})
