import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hasLines } from './expected.ts'

it('finds the lines of an example in their order, with anything where it has an ellipsis', () => {
  const seen = 'first\n  n   worker\n3 workers (1.5 s)\nlast\n'
  assert.equal(hasLines(seen, 'n worker\n… workers (… s)\n'), true)
  assert.equal(hasLines(seen, '  first\n…\nlast'), true)
  assert.equal(hasLines(seen, 'last\nfirst'), false)
  assert.equal(hasLines(seen, '3 workers'), false)
  assert.equal(hasLines(seen, '3 workers (1x5 s)'), false)
})
