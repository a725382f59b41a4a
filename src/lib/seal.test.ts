import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemRandom } from './random.ts'
import { Seal } from './seal.ts'

const SECRET = Buffer.alloc(32, 1)
const seal = new Seal(SECRET, 'a test', systemRandom)

it('opens what it has sealed, and shows nothing of it until then', () => {
  const sealed = seal.seal('place', 'a secret text')
  assert.equal(seal.open('place', sealed)?.toString(), 'a secret text')
  assert.equal(sealed.includes('secret'), false)
  assert.notDeepEqual(seal.seal('place', 'a secret text'), sealed)
  assert.equal(seal.open('place', seal.seal('place', ''))?.length, 0)
})

it('opens nothing that was changed, moved, cut, or sealed by another secret or for another purpose', () => {
  const sealed = seal.seal('place', 'text')
  const changed = Buffer.from(sealed)
  changed[14] = (changed[14] ?? 0) ^ 1
  assert.equal(seal.open('place', changed), undefined)
  assert.equal(seal.open('another place', sealed), undefined)
  for (const length of [0, 5, 27, sealed.length - 1])
    assert.equal(seal.open('place', sealed.subarray(0, length)), undefined)
  assert.equal(new Seal(Buffer.alloc(32, 2), 'a test', systemRandom).open('place', sealed), undefined)
  assert.equal(new Seal(SECRET, 'another', systemRandom).open('place', sealed), undefined)
  assert.throws(() => new Seal(Buffer.alloc(31), 'a test', systemRandom), /31 bytes of 32/)
})
