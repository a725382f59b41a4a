import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { MemoryJobStore, MemoryJobs } from './memory-job-store.ts'
import { ALICE, BOB, createTestJobs, type GoingFetch, type TestJobs, testFetch } from './test-jobs.ts'

const MINUTE = 60_000
/** Of a POST, everything from then on is too late to send it again. */
const MAY_BE_SENT: readonly ProblemCode[] = ['connection_lost', 'timeout', 'tor_failure', 'worker_unreachable']
const NOT_SENT: readonly ProblemCode[] = [
  'onion_not_found',
  'onion_intro_failed',
  'rate_limited',
  'no_worker',
  'target_busy',
]

type Act =
  | { readonly type: 'submit'; readonly who: 'alice' | 'bob'; readonly methods: readonly ('GET' | 'POST')[] }
  | { readonly type: 'answer' | 'cancel' | 'kill' | 'stop' }
  | { readonly type: 'fail'; readonly code: ProblemCode }
  | { readonly type: 'wait'; readonly ms: number }

const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('submit' as const),
      who: fc.constantFrom('alice' as const, 'bob' as const),
      methods: fc.array(fc.constantFrom('GET' as const, 'POST' as const), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ type: 'answer' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('fail' as const),
      code: fc.constantFrom(...MAY_BE_SENT, ...NOT_SENT, 'target_forbidden' as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.nat(10 * MINUTE) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ type: 'cancel' as const }, { type: 'kill' as const }, { type: 'stop' as const }),
  },
)

it('whatever happens, each fetch ends, and no POST is begun again that may have been sent', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { maxLength: 40 }), async (all) => {
      const clock = new FakeClock()
      const random = seededRandom(1)
      const policy = { maxJobs: 100, maxJobsPerCaller: 100, deadlineMs: 120 * MINUTE }
      let kept = new MemoryJobs()
      let test: TestJobs = createTestJobs({ clock, random, store: new MemoryJobStore(kept), policy })
      /** URLs of POSTs that may have been sent, or whose end is known. */
      const over = new Set<string>()
      const ids: [typeof ALICE, string][] = []
      let urls = 0

      const settle = async (one: GoingFetch | undefined, act: Act) => {
        if (one === undefined) return
        const { url, method } = one.request
        if (method === 'POST') assert.ok(!over.has(url), `${url} was begun again`)
        const isSafe = act.type === 'fail' && NOT_SENT.includes(act.code)
        if (method === 'POST' && !isSafe) over.add(url)
        if (act.type === 'fail') one.fail(new CbtorError(act.code, 'It failed', { retryAfterMs: 1_000 }))
        else one.answer()
        await clock.advance(0)
      }
      const restart = async (isKilled: boolean) => {
        for (const { request } of test.going) if (request.method === 'POST') over.add(request.url)
        const left = structuredClone({ ...kept })
        await Promise.all([test[Symbol.asyncDispose](), clock.advance(MINUTE)])
        if (isKilled) kept = Object.assign(new MemoryJobs(), left)
        test = createTestJobs({ clock, random, store: new MemoryJobStore(kept), policy })
        for (const { request } of test.going) assert.ok(!over.has(request.url), `${request.url} was begun again`)
      }

      for (const act of all) {
        if (act.type === 'submit') {
          const caller = act.who === 'alice' ? ALICE : BOB
          const fetches = act.methods.map((method) => testFetch(`http://a.test/${urls++}`, { method }))
          ids.push([caller, test.jobs.submit(caller, { fetches, retry: {} }).job.id])
        } else if (act.type === 'wait') await clock.advance(act.ms)
        else if (act.type === 'kill' || act.type === 'stop') await restart(act.type === 'kill')
        else if (act.type === 'cancel') {
          const [caller, id] = ids.at(-1) ?? []
          if (caller && id) test.jobs.cancel(caller, id)
        } else await settle(test.going[0], act)
      }

      for (let n = 0; n < 1_000 && ids.some(([caller, id]) => test.jobs.get(caller, id).state === 'running'); n++) {
        for (const one of [...test.going]) await settle(one, { type: 'answer' })
        await clock.advance(MINUTE)
      }
      for (const [caller, id] of ids) {
        const { state, tally, fetches } = test.jobs.get(caller, id)
        assert.notEqual(state, 'running')
        assert.equal(tally.done + tally.failed + tally.cancelled, fetches)
      }
      assert.deepEqual(test.bugs, [])
      await test[Symbol.asyncDispose]()
    }),
    { numRuns: 200 },
  )
})
