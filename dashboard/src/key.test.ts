import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isKey, keyIn } from './key.ts'

it('keyIn() finds the key in a fragment, and none in an address of a section', () => {
  assert.equal(keyIn('#key=cbt_7Kq2mXw0_abc'), 'cbt_7Kq2mXw0_abc')
  assert.equal(keyIn('#key=cbt_7Kq2mXw0_abc&x=1'), 'cbt_7Kq2mXw0_abc')
  for (const fragment of ['', '#', '#/workers/tor01', '#key=', '#other=1']) assert.equal(keyIn(fragment), undefined)
})

it('isKey() knows what can be sent as a key', () => {
  assert.ok(isKey('cbt_7Kq2mXw0_abc'))
  for (const text of [
    '',
    'cbt_7Kq2mXw0',
    'cbt_7Kq2mXw0_…',
    'cbt_7Kq2mXw0_abc\n',
    'cbt_7Kq2mXw0_a c',
    'Bearer cbt_7Kq2mXw0_abc',
  ])
    assert.ok(!isKey(text), text)
})
