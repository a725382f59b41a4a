import assert from 'node:assert/strict'
import { it } from 'node:test'
import { keysOf } from './terminal.ts'

it('knows the keys that a terminal sends, several at once too, and leaves out what it does not know', () => {
  assert.deepEqual(keysOf('q'), ['q'])
  assert.deepEqual(keysOf('\x1b[A\x1bOB\x1b[C\x1b[D\x1b[5~\x1b[6~'), [
    'up',
    'down',
    'right',
    'left',
    'page-up',
    'page-down',
  ])
  assert.deepEqual(keysOf('d\x1b[Bs\x03\r'), ['d', 'down', 's', 'ctrl-c', 'enter'])
  assert.deepEqual(keysOf('\x1b'), ['escape'])
  assert.deepEqual(keysOf('\x1b[1;5A\x1b[200~\x01'), [])
})
