import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { PersistentMap } from './persistent-map.ts'

describe('PersistentMap', () => {
  it('has what a map has that is copied each time, in the same order, and leaves the one before as it was', () => {
    const change = fc.record({ key: fc.integer({ max: 70, min: 0 }).map(String), value: fc.option(fc.nat()) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        let map = PersistentMap.of<number>()
        let model = new Map<string, number>()
        for (const { key, value } of changes) {
          const [before, modelBefore] = [map, model]
          model = new Map(model)
          if (value === null) model.delete(key)
          else model.set(key, value)
          map = value === null ? map.without(key) : map.with(key, value)
          assert.deepEqual([...map], [...model])
          assert.deepEqual([...before], [...modelBefore])
        }
        assert.deepEqual([[...map.values()], map.size], [[...model.values()], model.size])
        for (let key = 0; key <= 70; key++) assert.equal(map.get(`${key}`), model.get(`${key}`))
      }),
      { numRuns: 50 },
    )
  })
})
