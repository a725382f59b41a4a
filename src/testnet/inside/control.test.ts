import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseRefusedPorts } from './control.ts'

it('finds the ports that a policy refuses everywhere, and no others', () => {
  const reply = [
    '250 OK',
    '250+exit-policy/full=',
    'reject 10.0.0.0/8:*',
    'reject 203.0.113.21:*',
    'reject *4:80',
    'reject *:443',
    'reject *:1-79',
    'accept *:*',
    '.',
    '250 OK',
  ].join('\r\n')
  assert.deepEqual(parseRefusedPorts(reply), [80, 443])
})
