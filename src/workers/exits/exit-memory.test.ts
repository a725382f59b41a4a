import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ExitMemory } from './exit-memory.ts'

describe('ExitMemory', () => {
  it('remembers the exits of an identity in the order in which it got them', () => {
    const memory = new ExitMemory()
    for (const exit of ['A', 'B', 'A']) memory.add('alice', exit)
    assert.deepEqual(memory.of('alice'), ['A', 'B'])
    assert.deepEqual(memory.of('bob'), [])
    memory.drop('alice', 'A')
    assert.deepEqual(memory.of('alice'), ['B'])
    memory.drop('alice', 'B')
    memory.add('alice', 'C')
    memory.forget('alice')
    assert.deepEqual(memory.of('alice'), [])
  })

  it('forgets the identity that was not asked for longest when there are too many', () => {
    const memory = new ExitMemory(2)
    memory.add('alice', 'A')
    memory.add('bob', 'B')
    memory.of('alice')
    memory.add('carol', 'C')
    assert.deepEqual(
      ['alice', 'bob', 'carol'].map((token) => memory.of(token).length),
      [1, 0, 1],
    )
  })

  it('keeps few exits of an identity that gets ever new ones', () => {
    const memory = new ExitMemory()
    for (let n = 0; n < 100; n++) memory.add('alice', `${n}`)
    assert.equal(memory.of('alice').length, 8)
    assert.equal(memory.of('alice').at(-1), '99')
  })
})
