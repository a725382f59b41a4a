import assert from 'node:assert/strict'
import { it } from 'node:test'
import { jsonText } from './json.ts'

it('writes what would give a terminal orders as JSON has other such characters', () => {
  const body = { body: 'é\x9b31m\x7f\x1b[2J' }
  assert.equal(jsonText(body), '{"body":"é\\u009b31m\\u007f\\u001b[2J"}')
  assert.deepEqual(JSON.parse(jsonText(body, 2)), body)
})
