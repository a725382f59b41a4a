import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isLoopbackAddress } from './loopback.ts'

it('knows the addresses of loopback in all spellings, and nothing else', () => {
  const loopback = ['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::FFFF:7f00:1']
  const others = [
    '',
    'localhost',
    '0.0.0.0',
    '::',
    '128.0.0.1',
    '::2',
    '::1%lo',
    '127.1',
    '192.0.2.1',
    '::ffff:192.0.2.1',
  ]
  assert.deepEqual(loopback.filter(isLoopbackAddress), loopback)
  assert.deepEqual(others.filter(isLoopbackAddress), [])
})
