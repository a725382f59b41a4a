import { openStore } from '../../cluster/open-store.ts'
import { redisOptions } from '../../cluster/valkey-connection.ts'
import type { ValkeyLink } from '../../cluster/valkey-link.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import type { JobsPolicy } from '../jobs.ts'
import { TEST_POLICY, type TestWorld } from '../test-jobs.ts'
import { SharedJobs } from './shared-jobs.ts'

export interface TestReplica extends AsyncDisposable {
  readonly jobs: SharedJobs
  readonly link: ValkeyLink
}

/** The jobs of a replica of its own, on a real store. */
export async function openTestReplica(
  url: string,
  { options }: Pick<TestWorld, 'options'>,
  policy: Partial<JobsPolicy> = {},
  run = systemRandom.bytes(8).toString('hex'),
): Promise<TestReplica> {
  const secret = Buffer.alloc(32, 1)
  const stack = new AsyncDisposableStack()
  const shared = { clock: systemClock, random: systemRandom, secret }
  const link = stack.use(
    await openStore(
      {
        ...{ ...shared, url, password: undefined, ca: undefined, prefix: 'test', replica: `r${run.slice(0, 4)}` },
        ...{ version: '1.0.0', waitMs: 0, logger: createLogger('silent') },
      },
      new AbortController().signal,
    ),
  )
  const jobs = stack.use(
    new SharedJobs({
      ...{ ...options, ...shared, link, run, connection: redisOptions(link.access) },
      ...{ policy: { ...TEST_POLICY, ...policy }, onConnectionError() {} },
    }),
  )
  jobs.start()
  return { jobs, link, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
