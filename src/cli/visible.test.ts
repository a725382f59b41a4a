import assert from 'node:assert/strict'
import { it } from 'node:test'
import { holdsBinary, visible } from './visible.ts'

it('leaves text as it is, and shows what would give a terminal orders', () => {
  const text = 'a line\n\tindented, é 🧅\r\nthe last\n'
  assert.equal(visible(text), text)
  assert.equal(visible('\x1b[2J\x07\x00\x9b31m\x7f'), '\\x1b[2J\\x07\\x00\\x9b31m\\x7f')
  assert.equal(visible('good\rbad'), 'good\\x0dbad')
})

it('takes for binary what has a null byte, as curl does', () => {
  assert.equal(holdsBinary(Buffer.from('é\n')), false)
  assert.equal(holdsBinary(Buffer.from([0x89, 0x50, 0])), true)
})
