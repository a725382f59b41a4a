import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Jobs } from '../../src/api/jobs.ts'
import type { Caller } from '../../src/domain/caller.ts'
import { CbtorError } from '../../src/domain/errors.ts'
import type { JobView } from '../../src/domain/job.ts'
import type { ProblemCode } from '../../src/domain/problems.ts'
import type { JobsPolicy } from '../../src/jobs/jobs.ts'
import { ADMIN, ALICE, BOB, TEST_POLICY, type TestWorld, testFetch, testOrder } from '../../src/jobs/test-jobs.ts'

/** Jobs on a real clock, whose fetches the test answers. Opened again after it ended, it goes on with what was there. */
export interface JobsPlace extends AsyncDisposable {
  open(world: TestWorld, policy?: Partial<JobsPolicy>): Promise<Jobs & AsyncDisposable>
}

const HUNG = { timeout: 60_000 }
/** Tried again after a second at the most. */
const SOON = { delaysMs: [1_000], maxRetries: 3 }
const RETRY = { ...TEST_POLICY.retry, phases: { descriptor: SOON, circuit: SOON, http: SOON } }
const ALL = { from: 0, limit: 100, maxBodyBytes: 1_000_000 }

/** As long as it takes; a test that hangs is ended by its limit. */
export async function until<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    await sleep(10)
  }
}

export const problem = (code: ProblemCode, options: ConstructorParameters<typeof CbtorError>[2] = {}): CbtorError =>
  new CbtorError(code, `It is ${code}`, options)

/** Answers whatever goes on until the job has ended. */
export async function answerAll(world: TestWorld, jobs: Jobs, caller: Caller, id: string): Promise<JobView> {
  return await until(async () => {
    for (const each of [...world.going]) each.answer()
    const job = await jobs.get(caller, id)
    return job.state !== 'running' && job
  })
}

/** What the API may rely on, wherever jobs are. */
export function jobsContract(kind: string, create: () => Promise<JobsPlace>, createWorld: () => TestWorld): void {
  describe(`${kind} keep the promise of jobs`, HUNG, () => {
    const open = async (policy: Partial<JobsPolicy> = {}) => {
      const stack = new AsyncDisposableStack()
      const place = stack.use(await create())
      const world = createWorld()
      const jobs = stack.use(await place.open(world, { retry: RETRY, ...policy }))
      const submit = async (caller: Caller, ...order: Parameters<typeof testOrder>) =>
        (await jobs.submit(caller, testOrder(...order))).job.id
      const going = (count: number) => until(() => world.going.length === count)
      const ended = (caller: Caller, id: string) =>
        until(async () => {
          const job = await jobs.get(caller, id)
          return job.state !== 'running' && job
        })
      return { place, world, jobs, submit, going, ended, [Symbol.asyncDispose]: () => stack.disposeAsync() }
    }

    it('fetches all of a job as its caller, some at a time, and keeps what came', async () => {
      await using test = await open()
      const { world, jobs } = test
      const { job, isNew } = await jobs.submit(ALICE, testOrder('a', 5, { name: 'five pages' }))
      assert.ok(isNew && /^job_[\w-]{16}$/.test(job.id))
      assert.deepEqual([job.name, job.state, job.fetches, job.owner], ['five pages', 'running', 5, 'alice'])
      await test.going(2)
      await sleep(50)
      assert.equal(world.going.length, 2)
      assert.deepEqual(world.going[0]?.request.caller, ALICE)
      const { tally } = await jobs.get(ALICE, job.id)
      assert.deepEqual([tally.waiting.first, tally.running.first], [3, 2])
      const ended = await answerAll(world, jobs, ALICE, job.id)
      assert.deepEqual([ended.state, ended.tally.done, ended.tally.nextAt], ['done', 5, undefined])
      assert.ok((ended.endedAt ?? 0) >= ended.createdAt)
      const { items, next } = await jobs.results(ALICE, job.id, { from: 3, limit: 9, maxBodyBytes: 100 })
      assert.deepEqual(
        items.map(({ n, state, tries, body, url }) => [n, state, tries, String(body), url]),
        [
          [3, 'done', 1, 'hello', 'http://a.test/3'],
          [4, 'done', 1, 'hello', 'http://a.test/4'],
        ],
      )
      assert.deepEqual([next, world.begun.length, world.bugs], [undefined, 5, []])
    })

    it('sends what was ordered, and keeps what came byte by byte', async () => {
      await using test = await open()
      const { world, jobs } = test
      const body = Buffer.from([0, 255, 10, 13, 128])
      const fetch = testFetch('http://a.test/', { method: 'POST', body, headers: [['x-a', 'ö']] })
      const { id } = (await jobs.submit(ALICE, { fetches: [fetch], retry: {} })).job
      await test.going(1)
      const [one] = world.going
      assert.deepEqual(
        { ...one?.request, body: [...(one?.request.body ?? [])] },
        { ...fetch.request, body: [...body], caller: ALICE },
      )
      one?.answer({ body, status: 404, headers: [['set-cookie', 'ö']] })
      await test.ended(ALICE, id)
      const result = await jobs.result(ALICE, id, 0)
      assert.deepEqual([...(result.body as Uint8Array)], [...body])
      assert.deepEqual(
        [result.answer?.status, result.answer?.headers, result.bodyBytes],
        [404, [['set-cookie', 'ö']], 5],
      )
      assert.ok(result.answer && !('body' in result.answer))
      const [small] = (await jobs.results(ALICE, id, { from: 0, limit: 1, maxBodyBytes: 4 })).items
      assert.equal(small?.body, 'too-large')
      await assert.rejects(async () => await jobs.result(ALICE, id, 1), { code: 'not_found' })
    })

    it('tries again what a later try may mend, and gives up after as many as there are', async () => {
      await using test = await open()
      const { world, jobs } = test
      const id = await test.submit(ALICE, 'a', 1, { retry: { maxRetries: { http: 1 } } })
      await test.going(1)
      world.going[0]?.fail(
        problem('connection_lost', { attempts: [{ worker: 'tor01', outcome: 'connection_lost', ms: 1 }] }),
      )
      const waiting = await until(async () => {
        const { tally } = await jobs.get(ALICE, id)
        return tally.waiting.http === 1 && tally
      })
      assert.ok(waiting.nextAt !== undefined)
      const [kept] = (await jobs.results(ALICE, id, ALL)).items
      assert.deepEqual(
        [kept?.state, kept?.tries, kept?.phase, kept?.problem?.code],
        ['waiting', 1, 'http', 'connection_lost'],
      )
      await test.going(1)
      assert.equal((await jobs.get(ALICE, id)).tally.running.http, 1)
      world.going[0]?.fail(problem('tls_handshake_lost'))
      const job = await test.ended(ALICE, id)
      const { state, tries, problem: last } = await jobs.result(ALICE, id, 0)
      assert.deepEqual(
        [state, tries, last?.code, job.state, job.tally.failed],
        ['failed', 2, 'tls_handshake_lost', 'done', 1],
      )
    })

    it('fails at once what no later try mends, and what may have been sent', async () => {
      await using test = await open()
      const { world, jobs } = test
      const fetches = [testFetch('http://a.test/'), testFetch('http://b.test/', { method: 'POST' })]
      const { id } = (await jobs.submit(ALICE, { fetches, retry: {} })).job
      await test.going(2)
      for (const each of [...world.going])
        each.fail(problem(each.request.method === 'POST' ? 'connection_lost' : 'target_forbidden'))
      await test.ended(ALICE, id)
      const { items } = await jobs.results(ALICE, id, ALL)
      assert.deepEqual(
        items.map(({ state, problem: kept }) => [state, kept?.code]),
        [
          ['failed', 'target_forbidden'],
          ['failed', 'connection_lost'],
        ],
      )
    })

    it('waits out its own refusals, which are no tries', async () => {
      await using test = await open({ concurrencyPerJob: 1 })
      const { world, jobs } = test
      const id = await test.submit(ALICE, 'a', 2)
      await test.going(1)
      world.going[0]?.fail(problem('rate_limited', { retryAfterMs: 1_500 }))
      await until(async () => (await jobs.get(ALICE, id)).tally.running.first === 0)
      const bobs = await test.submit(BOB, 'b')
      await answerAll(world, jobs, BOB, bobs)
      assert.deepEqual(world.begun, ['http://a.test/0', 'http://b.test/0'])
      await answerAll(world, jobs, ALICE, id)
      const tries = (await jobs.results(ALICE, id, ALL)).items.map((each) => each.tries)
      assert.deepEqual(tries, [1, 1])
    })

    it('fails what still waits at the deadline', async () => {
      await using test = await open({ concurrencyPerJob: 1 })
      const { world, jobs } = test
      const id = await test.submit(ALICE, 'a', 3, { retry: { deadlineMs: 1_200 } })
      await test.going(1)
      await sleep(1_300)
      world.going[0]?.fail(problem('tor_timeout'))
      await test.ended(ALICE, id)
      const codes = (await jobs.results(ALICE, id, ALL)).items.map(({ problem: kept }) => kept?.code)
      assert.deepEqual(codes, ['tor_timeout', 'timeout', 'timeout'])
      assert.equal(world.begun.length, 1)
    })

    it('gives callers their turns one after the other, however much one of them has ordered', async () => {
      await using test = await open({ concurrency: 1, concurrencyPerJob: 2 })
      const { world, jobs } = test
      const first = await test.submit(ALICE, 'a', 10)
      await test.submit(ALICE, 'c', 10)
      await test.going(1)
      const bobs = await test.submit(BOB, 'b', 3)
      await until(async () => {
        world.going[0]?.answer()
        return (await jobs.get(BOB, bobs)).state === 'done'
      })
      const order = world.begun.map((url) => new URL(url).hostname[0]).join('')
      assert.ok(order.lastIndexOf('b') <= 10, order)
      assert.ok(order.slice(0, 10).includes('c'), order)
      await jobs.cancel(ALICE, first)
    })

    it('cancels: what runs ends at once, what waits is dropped, what came stays', async () => {
      await using test = await open()
      const { world, jobs } = test
      const id = await test.submit(ALICE, 'a', 5)
      await test.going(2)
      world.going[0]?.answer()
      await until(async () => (await jobs.get(ALICE, id)).tally.done === 1)
      await test.going(2)
      const running = [...world.going]
      const cancelled = await jobs.cancel(ALICE, id)
      assert.deepEqual([cancelled.state, cancelled.tally.done, cancelled.tally.cancelled], ['cancelled', 1, 4])
      await until(() => running.every(({ signal }) => signal.aborted))
      await sleep(100)
      assert.deepEqual([world.begun.length, world.going.length], [3, 0])
      assert.deepEqual(await jobs.cancel(ALICE, id), cancelled)
      const states = (await jobs.results(ALICE, id, ALL)).items.map(({ state }) => state).sort()
      assert.deepEqual(states, ['cancelled', 'cancelled', 'cancelled', 'cancelled', 'done'])
    })

    it('removes a job that has ended, and no other', async () => {
      await using test = await open()
      const { world, jobs } = test
      const id = await test.submit(ALICE, 'a')
      await assert.rejects(async () => await jobs.remove(ALICE, id), { code: 'conflict' })
      await answerAll(world, jobs, ALICE, id)
      assert.equal((await jobs.remove(ALICE, id)).state, 'done')
      await assert.rejects(async () => await jobs.get(ALICE, id), { code: 'job_not_found' })
      assert.deepEqual((await jobs.list(ADMIN, { owner: '*', limit: 9 })).items, [])
    })

    it('shows jobs to whom they belong, and to admins, from the newest on', async () => {
      await using test = await open({ concurrency: 1 })
      const { jobs } = test
      const ids: string[] = []
      for (const site of ['a', 'b', 'c']) ids.unshift(await test.submit(ALICE, site))
      const [id = ''] = ids
      for (const call of [
        async () => await jobs.get(BOB, id),
        async () => await jobs.results(BOB, id, ALL),
        async () => await jobs.result(BOB, id, 0),
        async () => await jobs.cancel(BOB, id),
        async () => await jobs.remove(BOB, id),
      ])
        await assert.rejects(call, { code: 'job_not_found' })
      await assert.rejects(async () => await jobs.list(BOB, { owner: 'alice', limit: 9 }), { code: 'scope_missing' })
      assert.deepEqual((await jobs.list(BOB, { limit: 9 })).items, [])
      const bobs = await test.submit(BOB, 'd')
      const first = await jobs.list(ADMIN, { owner: 'alice', limit: 2 })
      assert.ok(first.next !== undefined)
      const second = await jobs.list(ADMIN, { owner: 'alice', limit: 2, before: first.next })
      assert.deepEqual(
        [...first.items, ...second.items].map((job) => job.id),
        ids,
      )
      assert.equal(second.next, undefined)
      const all = await jobs.list(ADMIN, { owner: '*', limit: 9 })
      assert.deepEqual(
        all.items.map((job) => job.id),
        [bobs, ...ids],
      )
      assert.equal((await jobs.cancel(ADMIN, id)).state, 'cancelled')
    })

    it('leaves nothing of a caller that is none any more', async () => {
      await using test = await open()
      const { world, jobs } = test
      await test.submit(ALICE, 'a', 3)
      const id = await test.submit(BOB, 'b')
      await test.going(3)
      const alices = world.going.filter(({ request }) => request.caller === ALICE)
      world.revoke('alice')
      await until(() => alices.every(({ signal }) => signal.aborted))
      await until(async () => (await jobs.list(ADMIN, { owner: '*', limit: 9 })).items.length === 1)
      assert.equal((await jobs.get(BOB, id)).state, 'running')
      assert.equal(world.begun.length, 3)
    })

    it('takes no more jobs than it may, and says so', async () => {
      await using test = await open({ maxJobs: 3, maxJobsPerCaller: 2 })
      const { world, jobs } = test
      const ids = [await test.submit(ALICE, 'a'), await test.submit(ALICE, 'a')]
      await assert.rejects(test.submit(ALICE, 'a'), { code: 'too_many_jobs', retryAfterMs: 60_000 })
      await test.submit(BOB, 'b')
      await assert.rejects(test.submit(BOB, 'b'), { code: 'too_many_jobs' })
      for (const id of ids) await answerAll(world, jobs, ALICE, id)
      await test.submit(ALICE, 'a')
    })

    it('makes room by removing the oldest answers of whom most is kept, then jobs, then refuses', async () => {
      await using test = await open({ maxBytes: 60_000, concurrencyPerJob: 1 })
      const { world, jobs } = test
      const big = async (caller: Caller, site: string, bytes: number) => {
        const id = await test.submit(caller, site)
        await test.going(1)
        world.going[0]?.answer({ body: Buffer.alloc(bytes) })
        await test.ended(caller, id)
        await sleep(2)
        return id
      }
      const bobs = await big(BOB, 'b', 5_000)
      const ids: string[] = []
      for (let n = 0; n < 7; n++) ids.push(await big(ALICE, `a${n}`, 10_000))
      await until(async () => (await jobs.result(ALICE, ids[0] ?? '', 0)).body === 'removed')
      const bodies = await Promise.all(ids.map(async (id) => (await jobs.result(ALICE, id, 0)).body))
      const kept = bodies.findIndex((body) => body instanceof Uint8Array)
      assert.ok(kept >= 2 && bodies.slice(kept).every((body) => body instanceof Uint8Array), `${kept}`)
      assert.equal((await jobs.result(BOB, bobs, 0)).bodyBytes, 5_000)
      const large = { fetches: [testFetch('http://c.test/', { body: Buffer.alloc(40_000), method: 'PUT' })], retry: {} }
      await jobs.submit(ALICE, large)
      await assert.rejects(async () => await jobs.submit(ALICE, large), { code: 'too_many_jobs' })
    })

    it('takes the same order under the same Idempotency-Key once', async () => {
      await using test = await open()
      const { world, jobs } = test
      const order = (digest: string) => testOrder('a', 1, { idempotency: { key: 'k', digest } })
      const first = await jobs.submit(ALICE, order('x'))
      const again = await jobs.submit(ALICE, order('x'))
      assert.deepEqual([first.isNew, again.isNew, again.job.id], [true, false, first.job.id])
      await assert.rejects(async () => await jobs.submit(ALICE, order('y')), { code: 'idempotency_key_reused' })
      assert.ok((await jobs.submit(BOB, order('y'))).isNew)
      await answerAll(world, jobs, ALICE, first.job.id)
      await jobs.remove(ALICE, first.job.id)
      await assert.rejects(async () => await jobs.submit(ALICE, order('x')), { code: 'job_not_found' })
      const many = await Promise.all(
        Array.from({ length: 5 }, async () =>
          jobs.submit(ALICE, testOrder('b', 1, { idempotency: { key: 'l', digest: 'z' } })),
        ),
      )
      assert.deepEqual([new Set(many.map(({ job }) => job.id)).size, many.filter(({ isNew }) => isNew).length], [1, 1])
    })

    it('tells of the end of a job by its webhook', async () => {
      await using test = await open()
      const { world, jobs } = test
      const secret = 'a secret that only we two know'
      const id = await test.submit(ALICE, 'a', 2, { webhook: { url: 'http://127.0.0.1:9000/hook', secret } })
      await answerAll(world, jobs, ALICE, id)
      const posted = await until(() => world.posted[0])
      const { url, headers, body } = posted
      const { type, job } = JSON.parse(body)
      assert.deepEqual([url, type, job.id, job.done], ['http://127.0.0.1:9000/hook', 'job.ended', id, 2])
      const text = `${id}.${headers['webhook-timestamp']}.${body}`
      assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', secret).update(text).digest('base64')}`)
      await until(async () => (await jobs.get(ALICE, id)).webhook?.state === 'delivered')
      const byTor = await test.submit(ALICE, 'a', 1, { webhook: { url: 'https://hooks.example/' } })
      await test.going(1)
      await jobs.cancel(ALICE, byTor)
      const hook = await until(() => world.going.find(({ request }) => request.url === 'https://hooks.example/'))
      assert.deepEqual([hook.request.caller, hook.request.isolation], [ALICE, 'request'])
      hook.answer({ status: 500 })
      const { webhook } = await until(async () => {
        const view = await jobs.get(ALICE, byTor)
        return view.webhook?.tries === 1 && view
      })
      assert.deepEqual([webhook?.state, webhook?.outcome, webhook?.nextAt !== undefined], ['pending', '500', true])
    })

    it('go on at the next start, and send nothing twice that may have been sent', async () => {
      await using test = await open()
      const { world, jobs, place } = test
      const fetches = [testFetch('http://a.test/'), testFetch('http://b.test/', { method: 'POST' })]
      const { id } = (await jobs.submit(ALICE, { fetches, retry: {} })).job
      await test.going(2)
      await jobs[Symbol.asyncDispose]()
      const next = createWorld()
      await using again = await place.open(next)
      const job = await answerAll(next, again, ALICE, id)
      assert.deepEqual([job.tally.done, job.tally.failed, next.begun], [1, 1, ['http://a.test/']])
      const { problem: kept } = await again.result(ALICE, id, 1)
      assert.equal(kept?.code, 'connection_lost')
      assert.match(kept?.message ?? '', /may have been sent/)
      assert.deepEqual(world.bugs, [])
    })
  })
}
