import assert from 'node:assert/strict'
import { it } from 'node:test'
import { flagOf } from './flags.ts'

it('flagOf() draws within the field, and nothing for flags that it does not know', () => {
  assert.equal(flagOf('us'), undefined)
  assert.equal(flagOf('zz'), undefined)
  assert.deepEqual(
    flagOf('de')?.map(({ y, height }) => [y, height]),
    [
      [0, 3],
      [3, 3],
      [6, 3],
    ],
  )
  for (const code of ['fr', 'no', 'ch', 'lv', 'se']) {
    const patches = flagOf(code) ?? []
    assert.ok(patches.length > 1, code)
    for (const { colour, x, y, width, height } of patches) {
      assert.match(colour, /^#/, code)
      assert.ok(x >= 0 && y >= 0 && x + width <= 12 && y + height <= 9, code)
    }
  }
})
