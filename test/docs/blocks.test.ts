/**
 * Every block of the pages says what becomes of it. Commands and programs are run by `test/integration/docs-commands.test.ts`, or say
 * why they are not; configurations are read as the service reads them.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse, parseDocument } from 'yaml'
import { parseConfig } from '../../src/config/read-config.ts'
import { type Block, blocksOf, MARKS, PAGES, placeOf, ROOT } from './pages.ts'
import { ONION } from './substitutions.ts'

const BLOCKS = PAGES.flatMap(blocksOf)
const RUNNABLE = new Set(['sh', 'bash', 'console', 'python', 'js'])

function of(...languages: string[]): readonly Block[] {
  return BLOCKS.filter(({ language }) => languages.includes(language))
}

describe('a block of commands', () => {
  it('says in its second word whether it is run, and if not, what it would take', () => {
    const silent = of(...RUNNABLE).filter(
      ({ mark }) => !MARKS.includes(mark as 'run') && !/^test=test\/\S+\.test\.ts$/.test(mark),
    )
    assert.deepEqual(
      silent.map((block) => `${placeOf(block)} "${block.mark}"`),
      [],
      `one of ${MARKS.join(', ')}, test=FILE`,
    )
  })

  it('is of a language, so that it is shown as such', () => {
    assert.deepEqual(BLOCKS.filter(({ language }) => language === '').map(placeOf), [])
  })

  it('is run by the test that it names: all its words are there', () => {
    for (const block of of(...RUNNABLE)) {
      const [, file] = /^test=(.+)$/.exec(block.mark) ?? []
      if (file === undefined) continue
      assert.ok(existsSync(join(ROOT, file)), `${placeOf(block)}: there is no ${file}`)
      const test = readFileSync(join(ROOT, file), 'utf8')
      const words = block.text.replaceAll(/(^|\s)#.*$/gm, '').match(/[a-z][\w-]{3,}/gi) ?? []
      assert.ok(words.length > 0, placeOf(block))
      const missing = words.filter((word) => !test.includes(word))
      assert.deepEqual(missing, [], `${placeOf(block)}: ${file} does not have`)
    }
  })
})

describe('a block of YAML', () => {
  it('is a configuration that the service takes, unless it says that it is something else', () => {
    const blocks = of('yaml').filter(({ mark }) => mark === '')
    assert.ok(blocks.length >= 10)
    for (const block of blocks) {
      const document = parse(block.text.replaceAll(/…\.?onion/g, ONION))
      assert.doesNotThrow(() => parseConfig(document, {}), `${placeOf(block)}: ${JSON.stringify(document)}`)
    }
  })

  it('is YAML', () => {
    for (const block of of('yaml'))
      assert.deepEqual(
        parseDocument(block.text).errors.map(({ message }) => message),
        [],
        placeOf(block),
      )
  })
})

describe('a block of JSON', () => {
  it('is JSON', () => {
    for (const block of of('json')) assert.doesNotThrow(() => JSON.parse(block.text), placeOf(block))
  })
})
