import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type Random, seededRandom, systemRandom } from './random.ts'

const sources: [string, Random][] = [
  ['systemRandom', systemRandom],
  ['seededRandom', seededRandom(1)],
]

for (const [name, random] of sources) {
  it(`${name} stays within its bounds`, () => {
    for (let i = 0; i < 1_000; i++) {
      const float = random.float()
      assert.ok(float >= 0 && float < 1)
      const int = random.int(7)
      assert.ok(Number.isInteger(int) && int >= 0 && int < 7)
    }
    assert.equal(random.bytes(32).length, 32)
  })
}

it('seededRandom repeats itself for a seed, and differs between seeds', () => {
  const draw = (seed: number) => Array.from({ length: 5 }, seededRandom(seed).float)
  assert.deepEqual(draw(3), draw(3))
  assert.notDeepEqual(draw(3), draw(4))
})

it('systemRandom gives no bytes twice, however many are asked for at a time', () => {
  const taken = Array.from({ length: 3_000 }, (_, index) => systemRandom.bytes(8 + (index % 60)))
  assert.ok(taken.every((bytes, index) => bytes.length === 8 + (index % 60)))
  assert.equal(new Set(taken.map((bytes) => bytes.toString('hex'))).size, taken.length)
})
