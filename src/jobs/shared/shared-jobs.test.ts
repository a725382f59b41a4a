import assert from 'node:assert/strict'
import { it } from 'node:test'
import { jobsContract } from '../../../test/contracts/jobs-contract.ts'
import { startValkey } from '../../../test/valkey.ts'
import { ALICE, createTestWorld, testOrder } from '../test-jobs.ts'
import { openTestReplica } from './test-replica.ts'

jobsContract(
  'the shared jobs',
  async () => {
    const stack = new AsyncDisposableStack()
    const store = stack.use(await startValkey())
    return {
      async open(world, policy) {
        const replica = await openTestReplica(store.url, world, policy)
        stack.use(replica)
        return replica.jobs
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  },
  createTestWorld,
)

it('tell a store that takes nothing more from one that is away', { timeout: 60_000 }, async () => {
  await using store = await startValkey()
  await using replica = await openTestReplica(store.url, createTestWorld())
  const ordered = () => replica.jobs.submit(ALICE, testOrder('a'))
  await store.cli('CONFIG', 'SET', 'maxmemory', '1')
  await assert.rejects(ordered(), {
    code: 'store_unavailable',
    message: /does not take that now: its memory or disk may be full/,
  })
  await store.stop()
  await assert.rejects(ordered(), { code: 'store_unavailable', message: /cannot be reached/ })
})
