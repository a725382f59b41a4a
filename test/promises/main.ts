/**
 * `node test/promises/main.ts [--write] DIRECTORY [FOLDER…]`: reads the results of all lanes in DIRECTORY, tells what became of each
 * promise, and fails unless every test of each has run and is green. Tests in a FOLDER may be left out, as there was no root.
 * `--write` puts the table into the manual.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { PROMISES } from './promises.ts'
import type { Result } from './record.ts'
import { promisesTable, verdictOf, withTable } from './table.ts'

const MANUAL = 'docs/security.md'

const args = process.argv.slice(2)
const isWriting = args[0] === '--write'
const [directory = '', ...leftOut] = isWriting ? args.slice(1) : args
const results: Result[] = globSync(`${directory}/*.jsonl`)
  .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line))

let broken = 0
for (const [index, { promise, tests }] of PROMISES.entries()) {
  for (const test of tests) {
    const verdict = verdictOf(test, results)
    const isExcused = verdict === 'not run' && leftOut.some((folder) => test.file.startsWith(`${folder}/`))
    if (verdict === 'green' || isExcused) continue
    broken++
    process.stdout.write(`Promise ${index + 1} (${promise}): ${verdict}: ${test.file}: ${test.title}\n`)
  }
}
if (isWriting) writeFileSync(MANUAL, withTable(readFileSync(MANUAL, 'utf8'), promisesTable(results)))
process.stdout.write(
  broken === 0 ? `All ${PROMISES.length} promises are kept.\n` : `${broken} tests of promises are not green.\n`,
)
process.exitCode = broken === 0 ? 0 : 1
