import assert from 'node:assert/strict'
import { it } from 'node:test'
import { inputErrorOf } from './problems.ts'

it('of hundreds of thousands of faults only those are read that are told', () => {
  let read = 0
  const keys = {
    *[Symbol.iterator]() {
      for (;;) yield `field${++read}`
    },
  } as unknown as string[]
  const error = inputErrorOf([{ code: 'unrecognized_keys', path: [], message: 'is unknown', keys }])
  assert.deepEqual([error.faults.length, error.code, read], [32, 'unknown_field', 32])
})
