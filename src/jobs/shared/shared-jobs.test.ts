import { jobsContract } from '../../../test/contracts/jobs-contract.ts'
import { startValkey } from '../../../test/valkey.ts'
import { createTestWorld } from '../test-jobs.ts'
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
