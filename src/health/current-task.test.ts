import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { CurrentTask } from './current-task.ts'

it('says in whole milliseconds how long a task had', async () => {
  const clock = new FakeClock()
  const done = new CurrentTask(clock).run(997.6320640000049, () => new Promise(() => {}), new AbortController().signal)
  await clock.advance(1_000)
  assert.deepEqual(await done, { error: 'no answer within 998 ms' })
})
