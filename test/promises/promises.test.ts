import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { PROMISES, type PromiseTest } from './promises.ts'
import type { Result } from './record.ts'
import { promisesTable, verdictOf, withTable } from './table.ts'

const TITLE = /\bit\(\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g

describe('the promises', () => {
  it('are 25, and each has tests, which are there by these names', () => {
    assert.equal(PROMISES.length, 25)
    const missing = PROMISES.flatMap(({ tests }, index) => {
      if (tests.length === 0) return [`promise ${index + 1} has no test`]
      return tests.filter((test) => !isThere(test)).map(({ file, title }) => `${index + 1}: ${file}: ${title}`)
    })
    assert.deepEqual(missing, [])
  })

  it('are in the manual as they are here, with every one of them kept', () => {
    const manual = readFileSync('docs/security.md', 'utf8')
    const green = PROMISES.flatMap(({ tests }) => tests.map((test) => ({ ...test, outcome: 'green' as const })))
    assert.equal(manual, withTable(manual, promisesTable(green)), 'run the tests, and then: npm run promises')
  })
})

describe('a test of a promise', () => {
  const test = { file: 'a.test.ts', title: 'keeps * of them (all)' }
  const result = (outcome: Result['outcome'], title = 'keeps 5 of them (all)', file = test.file) => ({
    ...{ file, title, outcome },
  })

  it('is green when all runs of it are', () => {
    assert.equal(verdictOf(test, [result('green'), result('green', 'keeps 6 of them (all)')]), 'green')
  })

  it('has failed when one run of it has', () => {
    assert.equal(verdictOf(test, [result('green'), result('failed'), result('skipped')]), 'FAILED')
  })

  it('has not run when there is no result of it, or it was skipped', () => {
    for (const results of [[], [result('skipped'), result('green')], [result('green', 'keeps none')]])
      assert.equal(verdictOf(test, results), 'not run')
    assert.equal(verdictOf(test, [result('green', undefined, 'b.test.ts')]), 'not run')
  })
})

/** What a template inserts is `*` there. */
function isThere({ file, title }: PromiseTest): boolean {
  const source = readFileSync(file, 'utf8')
  if (title === '*') return /\bit\(/.test(source)
  const written = [...source.matchAll(TITLE)].map(([, single, double, template]) =>
    template === undefined
      ? (single ?? double ?? '').replace(/\\(.)/g, '$1')
      : template.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '*'),
  )
  return written.includes(title)
}
