import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { History } from './history.ts'

function numbers(capacity: number, baseId = 0) {
  const errors: unknown[] = []
  const history = new History<{ id: number }>({ capacity, baseId, onListenerError: (error) => errors.push(error) })
  return { history, errors, add: () => history.add((id) => ({ id })) }
}

describe('History', () => {
  it('tells what came after any id, and whether that is all, whatever its capacity', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(20), fc.nat(1_000), (capacity, count, baseId) => {
        const { history, add } = numbers(capacity, baseId)
        const all = Array.from({ length: count }, () => add().id)
        for (const id of [baseId, ...all]) {
          const { entries, isComplete } = history.since(id)
          const after = all.filter((other) => other > id)
          const kept = entries.map((entry) => entry.id)
          assert.deepEqual(kept, isComplete ? after : all.slice(-capacity))
          assert.equal(isComplete, after.length <= capacity)
        }
      }),
    )
  })

  it('says that something is missing when the id is not of this history', () => {
    const { history, add } = numbers(5, 100)
    add()
    for (const id of [99, 102]) {
      const { entries, isComplete } = history.since(id)
      assert.equal(isComplete, false)
      assert.deepEqual(entries, [{ id: 101 }])
    }
  })

  it('takes 0 for the beginning', () => {
    const { history, add } = numbers(2, 100)
    add()
    assert.equal(history.since(0).isComplete, true)
    add()
    add()
    assert.deepEqual(history.since(0), { entries: [{ id: 102 }, { id: 103 }], isComplete: false })
  })

  it('tells each listener every entry in order, also those that a listener adds', () => {
    const { history, errors, add } = numbers(5)
    const heard: number[] = []
    history.onAdded(({ id }) => {
      if (id === 1) add()
      if (id === 2) throw new Error('broken')
    })
    const listening = history.onAdded(({ id }) => heard.push(id))
    add()
    add()
    listening[Symbol.dispose]()
    add()
    assert.deepEqual(heard, [1, 2, 3])
    assert.equal(errors.length, 1)
    assert.equal(history.newestId, 4)
  })

  it('refuses to keep nothing', () => {
    assert.throws(() => numbers(0), RangeError)
  })
})
