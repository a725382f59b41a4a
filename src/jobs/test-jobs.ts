import { type Caller, SCOPES } from '../domain/caller.ts'
import type { FetchAnswer, FetchRequest } from '../domain/exchange.ts'
import type { JobFetch, JobOrder } from '../domain/job.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import type { JobStore } from './job-store.ts'
import { Jobs, type JobsOptions, type JobsPolicy } from './jobs.ts'
import { MemoryJobStore } from './memory-job-store.ts'

/** One fetch that goes on until the test says what comes of it. */
export interface GoingFetch {
  readonly request: FetchRequest
  readonly signal: AbortSignal
  answer(change?: Partial<FetchAnswer>): void
  fail(error: Error): void
}

export interface TestJobs extends AsyncDisposable {
  readonly jobs: Jobs
  readonly clock: FakeClock
  readonly store: JobStore
  /** Those that go on, in the order in which they began. */
  readonly going: GoingFetch[]
  /** URLs of all fetches that began. */
  readonly begun: string[]
  /** Webhooks that were posted without Tor. */
  readonly posted: { readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly body: string }[]
  readonly bugs: unknown[]
  /** The caller is none any more. */
  revoke(id: string): void
}

export const TEST_POLICY: JobsPolicy = {
  concurrency: 4,
  concurrencyPerJob: 2,
  maxJobs: 10,
  maxJobsPerCaller: 5,
  maxBytes: 1_000_000,
  retentionMs: 7 * 86_400_000,
  deadlineMs: 86_400_000,
  retry: {
    phases: {
      descriptor: { delaysMs: [30_000, 60_000], maxRetries: 3 },
      circuit: { delaysMs: [10_000], maxRetries: 2 },
      http: { delaysMs: [20_000], maxRetries: 1 },
    },
    statuses: [],
  },
  receivers: [{ address: '127.0.0.1', prefix: 32, family: 4, port: 9000 }],
}

export function testCaller(id: string, scopes: Iterable<(typeof SCOPES)[number]> = ['fetch']): Caller {
  return { id, scopes: new Set(scopes), limits: {}, targets: {} }
}

export const ALICE = testCaller('alice')
export const BOB = testCaller('bob')
export const ADMIN = testCaller('root', SCOPES)

/** What jobs have around them, in which the test says what becomes of fetches. */
export interface TestWorld {
  readonly options: Omit<JobsOptions, 'clock' | 'store' | 'policy'>
  readonly going: GoingFetch[]
  readonly begun: string[]
  readonly posted: TestJobs['posted']
  readonly bugs: unknown[]
  revoke(id: string): void
}

export function createTestWorld(): TestWorld {
  const going: GoingFetch[] = []
  const begun: string[] = []
  const posted: TestJobs['posted'] = []
  const bugs: unknown[] = []
  const gone = new Map<string, Set<() => void>>()
  const callers = new Map([ALICE, BOB, ADMIN].map((caller) => [caller.id, caller]))
  const options: TestWorld['options'] = {
    ...{ random: seededRandom(1), onBug: (error) => void bugs.push(error), checkUrl() {} },
    callers: {
      find: (id) => callers.get(id),
      onGone(id, listener) {
        const listeners = gone.get(id) ?? new Set()
        gone.set(id, listeners.add(listener))
        return { [Symbol.dispose]: () => void listeners.delete(listener) }
      },
    },
    fetch(request, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<FetchAnswer>()
      begun.push(request.url)
      const one: GoingFetch = {
        ...{ request, signal },
        answer: (answered = {}) => {
          leave()
          resolve(testAnswer(request, answered))
        },
        fail: (error) => {
          leave()
          reject(error)
        },
      }
      const leave = () => void (going.includes(one) && going.splice(going.indexOf(one), 1))
      signal.addEventListener('abort', () => one.fail(signal.reason))
      going.push(one)
      return promise
    },
    async postLocally({ host, port, path }, headers, body) {
      posted.push({ url: `http://${host}:${port}${path}`, headers, body })
      return 204
    },
  }
  return {
    ...{ options, going, begun, posted, bugs },
    revoke(id) {
      callers.delete(id)
      for (const listener of gone.get(id) ?? []) listener()
    },
  }
}

/** Jobs on a fake clock, whose fetches are answered by the test. */
export function createTestJobs(
  change: Partial<Omit<JobsOptions, 'policy'>> & { readonly policy?: Partial<JobsPolicy> } = {},
): TestJobs {
  const clock = (change.clock as FakeClock | undefined) ?? new FakeClock()
  const store = change.store ?? new MemoryJobStore()
  const { options, ...world } = createTestWorld()
  const jobs = new Jobs({ ...options, ...change, ...{ clock, store, policy: { ...TEST_POLICY, ...change.policy } } })
  jobs.start()
  return { ...world, ...{ jobs, clock, store }, [Symbol.asyncDispose]: () => jobs[Symbol.asyncDispose]() }
}

export function testFetch(url: string, change: Partial<JobFetch['request']> = {}): JobFetch {
  return {
    request: {
      ...{
        url,
        method: 'GET',
        headers: [],
        timeoutMs: 60_000,
        maxBytes: 1_000_000,
        followRedirects: true,
        maxRedirects: 5,
      },
      ...{ allowDowngrade: false, allowOnionToClearnet: false, isolation: 'destination' as const },
      ...change,
    },
    responseEncoding: 'auto',
  }
}

/** An order for `count` pages of a site. */
export function testOrder(site: string, count = 1, change: Partial<JobOrder> = {}): JobOrder {
  return {
    fetches: Array.from({ length: count }, (_, n) => testFetch(`http://${site}.test/${n}`)),
    retry: {},
    ...change,
  }
}

export function testAnswer(request: FetchRequest, change: Partial<FetchAnswer>): FetchAnswer {
  return {
    ...{ url: request.url, status: 200, statusText: 'OK', headers: [], body: Buffer.from('hello') },
    ...{ identity: 'destination', worker: 'tor01', route: 'socks', exit: undefined, connectionReused: false },
    ...{ attempts: [{ worker: 'tor01', outcome: 'ok', ms: 1 }], redirects: [], truncated: false },
    ...{ timing: { queueMs: 0, connectMs: 0, tlsMs: 0, firstByteMs: 0, bodyMs: 0, totalMs: 0 } },
    ...{ bytes: { received: 0, sent: 0, decoded: 5 } },
    ...change,
  }
}
