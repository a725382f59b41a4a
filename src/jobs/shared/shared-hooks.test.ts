import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '../../lib/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import { SharedHooks, type SharedHooksOptions } from './shared-hooks.ts'

it('does not send a webhook again that this gateway is sending', async () => {
  const clock = new FakeClock()
  const answered = Promise.withResolvers<void>()
  const told: string[] = []
  let sent = 0
  const job = {
    ...{ id: 'job_1', owner: 'k1', state: 'done', createdAt: 0, endedAt: 1, fetches: 1 },
    tally: {},
    webhook: { url: 'http://hook.test/', secret: 's' },
    delivery: { state: 'pending', tries: 0, nextAt: 0 },
  }
  const hooks = new SharedHooks({
    ...{ clock, random: seededRandom(1), receivers: [], callerOf: () => ({ id: 'k1' }) },
    async fetch() {
      sent++
      await answered.promise
      return { status: 200, headers: [], body: Buffer.alloc(0) }
    },
    ledger: {
      job: async () => job,
      setDelivery: async (_id: string, { state }: { state: string }) => void told.push(state),
    },
    onBug: (error: unknown) => assert.fail(String(error)),
  } as unknown as SharedHooksOptions)
  const first = hooks.send('job_1')
  await clock.advance(10)
  // Its lock has run out while the store was away.
  const second = hooks.send('job_1')
  await clock.advance(10)
  answered.resolve()
  await clock.advance(10)
  assert.deepEqual(await first, { type: 'over' })
  assert.equal((await second).type, 'sleep')
  assert.deepEqual([sent, told], [1, ['delivered']])
})
