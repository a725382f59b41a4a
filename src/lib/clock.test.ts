import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from './clock.ts'

it('does not take a very long time for a very short one', async () => {
  let hasFired = false
  using _ = systemClock.timer(2 ** 40, () => {
    hasFired = true
  })
  const giveUp = new AbortController()
  const slept = systemClock.sleep(2 ** 40, giveUp.signal).then(
    () => 'slept',
    () => 'given up',
  )
  await systemClock.sleep(20)
  giveUp.abort()
  assert.deepEqual([hasFired, await slept], [false, 'given up'])
})
