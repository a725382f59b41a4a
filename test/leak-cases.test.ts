import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { CASES, casesOf } from './leaks/cases.ts'

/** Titles of tests, as they are written: what is interpolated in one stands behind its cases. */
const TITLE = /\bit\(\s*(['"`])(L\d+.*?)\1,/gs

it('every case of a leak or link has a test, in the suite of its own or where its entry says', () => {
  const tested = new Set<string>()
  for (const file of globSync('test/leaks/*.test.ts')) {
    for (const [, , title = ''] of readFileSync(file, 'utf8').matchAll(TITLE)) {
      const ids = casesOf(title)
      assert.notDeepEqual(ids, [], `no cases in "${title}"`)
      for (const id of ids) tested.add(id)
    }
  }
  for (const [id, { testedIn }] of Object.entries(CASES)) {
    if (testedIn === undefined) assert.ok(tested.has(id), `${id} has no test`)
    else assert.ok(existsSync(testedIn), `${id} is tested in ${testedIn}, which is not there`)
  }
  assert.deepEqual(
    [...tested].filter((id) => !(id in CASES)),
    [],
  )
})

it('the manual has a row for each case, 1 to 45, in this order', () => {
  const rows = [...readFileSync('docs/security.md', 'utf8').matchAll(/^\| (L\d+) \|/gm)].map(([, id]) => id)
  assert.deepEqual(rows, Object.keys(CASES))
  assert.deepEqual(
    rows,
    Array.from({ length: 45 }, (_, n) => `L${n + 1}`),
  )
})
