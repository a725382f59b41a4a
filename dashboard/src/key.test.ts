import assert from 'node:assert/strict'
import { it } from 'node:test'
import { keyIn } from './key.ts'

it('keyIn() finds the key in a fragment, and none in an address of a section', () => {
  assert.equal(keyIn('#key=cbt_7Kq2mXw0_abc'), 'cbt_7Kq2mXw0_abc')
  assert.equal(keyIn('#key=cbt_7Kq2mXw0_abc&x=1'), 'cbt_7Kq2mXw0_abc')
  for (const fragment of ['', '#', '#/workers/tor01', '#key=', '#other=1']) assert.equal(keyIn(fragment), undefined)
})
