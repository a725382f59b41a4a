/** A replica that carries jobs out in a process of its own, until it is killed. Says on stdout what it fetches. Argument: URL of the store. */
import { openTestReplica } from '../../src/jobs/shared/test-replica.ts'
import { createTestWorld, testAnswer } from '../../src/jobs/test-jobs.ts'
import { systemClock } from '../../src/lib/clock.ts'

const FETCH_MS = 150
const [url = ''] = process.argv.slice(2)
const { options } = createTestWorld()
await openTestReplica(
  url,
  {
    options: {
      ...options,
      async fetch(request) {
        process.stdout.write(`${request.method} ${request.url}\n`)
        await systemClock.sleep(FETCH_MS)
        return testAnswer(request, { body: Buffer.from(request.url) })
      },
      onBug: (error) => process.stderr.write(`${error instanceof Error ? error.stack : error}\n`),
    },
  },
  { concurrency: 8, concurrencyPerJob: 8 },
)
process.stdout.write('ready\n')
