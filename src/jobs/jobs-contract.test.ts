import { jobsContract } from '../../test/contracts/jobs-contract.ts'
import { systemClock } from '../lib/clock.ts'
import { Jobs } from './jobs.ts'
import { MemoryJobStore, MemoryJobs } from './memory-job-store.ts'
import { createTestWorld, TEST_POLICY } from './test-jobs.ts'

jobsContract(
  'the embedded jobs',
  async () => {
    const kept = new MemoryJobs()
    return {
      async open({ options }, policy = {}) {
        const store = new MemoryJobStore(kept)
        const jobs = new Jobs({ ...options, clock: systemClock, store, policy: { ...TEST_POLICY, ...policy } })
        jobs.start()
        return jobs
      },
      async [Symbol.asyncDispose]() {},
    }
  },
  createTestWorld,
)
