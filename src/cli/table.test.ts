import assert from 'node:assert/strict'
import { it } from 'node:test'
import { formatTable } from './table.ts'

it('lets no cell give a terminal orders, or look like two lines', () => {
  const table = formatTable(['url', 'n'], [['http://a.test/\x9b2J\x1b]0;x\x07\nb', '1']])
  assert.deepEqual(table.split('\n'), [`url${' '.repeat(33)}n`, 'http://a.test/\\x9b2J\\x1b]0;x\\x07 b  1'])
})
