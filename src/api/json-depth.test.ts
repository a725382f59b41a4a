import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { nestsDeeper } from './json-depth.ts'

describe('nestsDeeper()', () => {
  it('counts lists and objects within each other, and nothing in strings', () => {
    const cases: [json: string, depth: number][] = [
      ['1', 0],
      ['"[[[["', 0],
      ['[]', 1],
      ['[[],[],{}]', 2],
      ['{"a":{"b":[1]}}', 3],
      [String.raw`["\"[[[[\\",[]]`, 2],
      [String.raw`["\\",[[]]]`, 3],
    ]
    for (const [json, depth] of cases) {
      assert.equal(nestsDeeper(Buffer.from(json), depth), false, json)
      if (depth > 0) assert.equal(nestsDeeper(Buffer.from(json), depth - 1), true, json)
    }
  })
})
