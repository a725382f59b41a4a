import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { MemoryJobStore, MemoryJobs } from './memory-job-store.ts'
import { ADMIN, ALICE, BOB, createTestJobs, type TestJobs, testFetch, testOrder } from './test-jobs.ts'

const MINUTE = 60_000

const problem = (code: ProblemCode, options: ConstructorParameters<typeof CbtorError>[2] = {}) =>
  new CbtorError(code, `It is ${code}`, options)

/** Answers all that goes on and whatever comes after it. */
async function answerAll({ going, clock }: TestJobs): Promise<void> {
  do {
    for (const each of [...going]) each.answer()
    await clock.advance(0)
  } while (going.length > 0)
}

describe('Jobs', () => {
  it('fetches all of a job as its caller, some at a time, and keeps what came', async () => {
    await using test = createTestJobs()
    const { job, isNew } = test.jobs.submit(ALICE, testOrder('a', 5, { name: 'five pages' }))
    assert.ok(isNew && /^job_[\w-]{16}$/.test(job.id))
    assert.deepEqual([job.name, job.state, job.fetches, job.tally.waiting.first], ['five pages', 'running', 5, 3])
    assert.equal(test.going.length, 2)
    assert.deepEqual(test.going[0]?.request.caller, ALICE)
    await answerAll(test)
    const ended = test.jobs.get(ALICE, job.id)
    assert.deepEqual([ended.state, ended.tally.done, ended.endedAt], ['done', 5, test.clock.now()])
    const { items, next } = test.jobs.results(ALICE, job.id, { from: 3, limit: 9, maxBodyBytes: 100 })
    assert.deepEqual(
      items.map(({ n, state, tries }) => [n, state, tries]),
      [
        [3, 'done', 1],
        [4, 'done', 1],
      ],
    )
    assert.equal(next, undefined)
    assert.deepEqual([test.clock.pending, test.bugs], [1, []]) // upkeep
  })

  it('tries again what a later try may mend, and shows how far it is', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a')).job
    test.going[0]?.fail(problem('onion_not_found'))
    await test.clock.advance(0)
    const { tally } = test.jobs.get(ALICE, id)
    assert.equal(tally.waiting.descriptor, 1)
    assert.ok(tally.nextAt !== undefined && tally.nextAt > test.clock.now())
    await test.clock.advance(tally.nextAt - test.clock.now() - 1)
    assert.equal(test.going.length, 0)
    await test.clock.advance(1)
    assert.equal(test.jobs.get(ALICE, id).tally.running.descriptor, 1)
    test.going[0]?.fail(problem('onion_intro_failed'))
    await test.clock.advance(MINUTE)
    test.going[0]?.answer()
    await test.clock.advance(0)
    const result = test.jobs.result(ALICE, id, 0)
    assert.deepEqual([result.state, result.tries, result.phase, result.problem], ['done', 3, 'circuit', undefined])
  })

  it('gives up after as many retries as there are, with the last problem', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a', 1, { retry: { maxRetries: { http: 2 } } })).job
    for (let n = 0; n < 3; n++) {
      test.going[0]?.fail(
        problem('connection_lost', { attempts: [{ worker: `tor0${n}`, outcome: 'connection_lost', ms: 1 }] }),
      )
      await test.clock.advance(MINUTE)
    }
    const { state, tries, problem: kept } = test.jobs.result(ALICE, id, 0)
    assert.deepEqual([state, tries, kept?.code, kept?.attempts[0]?.worker], ['failed', 3, 'connection_lost', 'tor02'])
    assert.equal(test.jobs.get(ALICE, id).state, 'done')
    assert.equal(test.begun.length, 3)
  })

  it('fails at once what no later try mends', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a')).job
    test.going[0]?.fail(problem('target_forbidden'))
    await test.clock.advance(0)
    assert.deepEqual([test.jobs.result(ALICE, id, 0).state, test.jobs.get(ALICE, id).state], ['failed', 'done'])
  })

  it('waits out its own refusals, for as long as they last and for all whom they hold for', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a', 3)).job
    test.going[0]?.fail(problem('rate_limited', { retryAfterMs: MINUTE }))
    await test.clock.advance(0)
    test.going[0]?.answer()
    await test.clock.advance(MINUTE - 1)
    assert.equal(test.going.length, 0)
    test.jobs.submit(BOB, testOrder('b'))
    assert.deepEqual(
      test.going.map(({ request }) => request.url),
      ['http://b.test/0'],
    )
    await test.clock.advance(2_000)
    assert.equal(test.going.length, 3)
    await answerAll(test)
    const tries = test.jobs.results(ALICE, id, { from: 0, limit: 9, maxBodyBytes: 0 }).items.map((each) => each.tries)
    assert.deepEqual(tries, [1, 1, 1])
  })

  it('goes on with all others when one fetch has no worker that it may take', async () => {
    await using test = createTestJobs()
    const tied = testFetch('http://tied.test/', { workerId: 'tor09' })
    test.jobs.submit(ALICE, { fetches: [tied], retry: {} })
    test.going[0]?.fail(problem('no_worker', { retryAfterMs: 5_000 }))
    await test.clock.advance(0)
    test.jobs.submit(BOB, testOrder('b'))
    assert.deepEqual(test.begun, ['http://tied.test/', 'http://b.test/0'])
  })

  it('asks again for statuses that it was told are no answers, after Retry-After', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a', 1, { retry: { statuses: [503] } })).job
    test.going[0]?.answer({ status: 503, headers: [['retry-after', '300']] })
    await test.clock.advance(299_999)
    assert.equal(test.going.length, 0)
    await test.clock.advance(1)
    test.going[0]?.answer({ status: 503 })
    await test.clock.advance(0)
    const { state, answer, tries } = test.jobs.result(ALICE, id, 0)
    assert.deepEqual([state, answer?.status, tries], ['done', 503, 2])
  })

  it('fails what still waits at the deadline', async () => {
    await using test = createTestJobs({ policy: { concurrency: 1 } })
    const order = testOrder('a', 3, { retry: { deadlineMs: 10_000 } })
    const { id } = test.jobs.submit(ALICE, order).job
    await test.clock.advance(10_000)
    const states = () => test.jobs.results(ALICE, id, { from: 0, limit: 9, maxBodyBytes: 0 }).items
    assert.deepEqual(
      states().map(({ state, problem: kept }) => [state, kept?.code]),
      [
        ['running', undefined],
        ['failed', 'timeout'],
        ['failed', 'timeout'],
      ],
    )
    test.going[0]?.fail(problem('tor_timeout'))
    await test.clock.advance(0)
    assert.deepEqual([states()[0]?.problem?.code, test.jobs.get(ALICE, id).state], ['tor_timeout', 'done'])
  })

  it('gives callers their turns one after the other, however much one of them has ordered', async () => {
    await using test = createTestJobs({ policy: { concurrency: 2, concurrencyPerJob: 2 } })
    test.jobs.submit(ALICE, testOrder('a', 10))
    test.jobs.submit(ALICE, testOrder('c', 10))
    test.jobs.submit(BOB, testOrder('b', 3))
    await answerAll(test)
    const order = test.begun.map((url) => new URL(url).hostname[0]).join('')
    assert.match(order, /^aa(?=.{0,6}b.{0,2}b)/)
    assert.equal(order.slice(2, 8).split('b').length - 1, 3, order)
    assert.ok(order.slice(2, 8).includes('c'), order)
  })

  it('cancels: what runs ends at once, what waits is dropped, what came stays', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a', 5)).job
    test.going[0]?.answer()
    await test.clock.advance(0)
    const [running] = test.going
    const cancelled = test.jobs.cancel(ALICE, id)
    assert.ok(running?.signal.aborted)
    assert.deepEqual([cancelled.state, cancelled.tally.done, cancelled.tally.cancelled], ['cancelled', 1, 4])
    await test.clock.advance(MINUTE)
    assert.deepEqual([test.begun.length, test.going.length], [3, 0])
    assert.deepEqual(test.jobs.cancel(ALICE, id), cancelled)
    assert.equal(test.jobs.result(ALICE, id, 0).state, 'done')
  })

  it('removes a job that has ended, and no other', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a')).job
    assert.throws(() => test.jobs.remove(ALICE, id), { code: 'conflict' })
    await answerAll(test)
    assert.equal(test.jobs.remove(ALICE, id).state, 'done')
    assert.throws(() => test.jobs.get(ALICE, id), { code: 'job_not_found' })
    assert.equal(test.store.bytes(), 0)
  })

  it('shows jobs to whom they belong, and to admins', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a')).job
    for (const call of [
      () => test.jobs.get(BOB, id),
      () => test.jobs.results(BOB, id, { from: 0, limit: 1, maxBodyBytes: 1 }),
      () => test.jobs.result(BOB, id, 0),
      () => test.jobs.cancel(BOB, id),
      () => test.jobs.remove(BOB, id),
    ])
      assert.throws(call, { code: 'job_not_found' })
    assert.throws(() => test.jobs.list(BOB, { owner: 'alice', limit: 9 }), { code: 'scope_missing' })
    assert.deepEqual(test.jobs.list(BOB, { limit: 9 }).items, [])
    for (const owner of ['alice', '*']) assert.equal(test.jobs.list(ADMIN, { owner, limit: 9 }).items[0]?.id, id)
    assert.equal(test.jobs.cancel(ADMIN, id).state, 'cancelled')
  })

  it('leaves nothing of a caller that is none any more', async () => {
    await using test = createTestJobs()
    test.jobs.submit(ALICE, testOrder('a', 3))
    const { id } = test.jobs.submit(BOB, testOrder('b')).job
    const alices = test.going.filter(({ request }) => request.caller === ALICE)
    test.revoke('alice')
    assert.ok(alices.length === 2 && alices.every(({ signal }) => signal.aborted))
    await test.clock.advance(MINUTE)
    assert.deepEqual(
      test.jobs.list(ADMIN, { owner: '*', limit: 9 }).items.map((job) => job.id),
      [id],
    )
  })

  it('takes no more jobs than it may, and says so', async () => {
    await using test = createTestJobs({ policy: { maxJobs: 3, maxJobsPerCaller: 2 } })
    test.jobs.submit(ALICE, testOrder('a'))
    test.jobs.submit(ALICE, testOrder('a'))
    assert.throws(() => test.jobs.submit(ALICE, testOrder('a')), { code: 'too_many_jobs', retryAfterMs: MINUTE })
    test.jobs.submit(BOB, testOrder('b'))
    assert.throws(() => test.jobs.submit(BOB, testOrder('b')), { code: 'too_many_jobs' })
    await answerAll(test)
    test.jobs.submit(ALICE, testOrder('a'))
  })

  it('makes room by removing the oldest answers of whom most is kept, then jobs, then refuses', async () => {
    await using test = createTestJobs({ policy: { maxBytes: 40_000, concurrency: 1 } })
    const bobs = test.jobs.submit(BOB, testOrder('b')).job.id
    test.going[0]?.answer({ body: Buffer.alloc(5_000) })
    await test.clock.advance(1)
    const id = test.jobs.submit(ALICE, testOrder('a', 5)).job.id
    for (let n = 0; n < 5; n++) {
      test.going[0]?.answer({ body: Buffer.alloc(10_000) })
      await test.clock.advance(1)
    }
    const bodies = test.jobs.results(ALICE, id, { from: 0, limit: 9, maxBodyBytes: 1e6 }).items.map(({ body }) => body)
    assert.deepEqual(
      bodies.map((body) => (body instanceof Uint8Array ? 'kept' : body)),
      ['removed', 'removed', 'kept', 'kept', 'kept'],
    )
    assert.equal(test.jobs.result(BOB, bobs, 0).bodyBytes, 5_000)
    assert.ok(test.store.bytes() <= 40_000)
    const large = { fetches: [testFetch('http://c.test/', { body: Buffer.alloc(20_000), method: 'PUT' })], retry: {} }
    test.jobs.submit(ALICE, large)
    assert.throws(() => test.jobs.submit(ALICE, large), { code: 'too_many_jobs' })
    assert.throws(() => test.jobs.get(ALICE, id), { code: 'job_not_found' })
  })

  it('makes much room bit by bit, in between which others are served', async () => {
    const store = new MemoryJobStore()
    await using test = createTestJobs({
      store,
      policy: { maxBytes: 2_000_000, concurrency: 100, concurrencyPerJob: 100 },
    })
    test.jobs.submit(ALICE, testOrder('a', 1_000))
    while (test.going.length > 0) {
      for (const each of [...test.going]) each.answer({ body: Buffer.alloc(1_000) })
      await test.clock.advance(0)
    }
    let removals = 0
    const drop = store.dropOldestBodies.bind(store)
    store.dropOldestBodies = (owner) => {
      removals++
      return drop(owner)
    }
    const large = { fetches: [testFetch('http://c.test/', { body: Buffer.alloc(700_000), method: 'PUT' })], retry: {} }
    assert.throws(() => test.jobs.submit(BOB, large), { code: 'too_many_jobs' })
    assert.equal(removals, 8)
    await test.clock.advance(60_000)
    assert.ok(removals > 8)
    test.jobs.submit(BOB, large)
  })

  it('forgets jobs some days after they ended', async () => {
    await using test = createTestJobs({ policy: { retentionMs: 3 * 3_600_000 } })
    const { id } = test.jobs.submit(ALICE, testOrder('a')).job
    await answerAll(test)
    await test.clock.advance(2 * 3_600_000)
    test.jobs.get(ALICE, id)
    await test.clock.advance(3 * 3_600_000)
    assert.throws(() => test.jobs.get(ALICE, id), { code: 'job_not_found' })
  })

  it('loses nothing when the store cannot be written for a while', async () => {
    const store = new MemoryJobStore()
    await using test = createTestJobs({ store, policy: { concurrency: 1 } })
    const { id } = test.jobs.submit(ALICE, testOrder('a', 3)).job
    const end = store.end.bind(store)
    store.end = () => {
      throw new Error('The disk is full')
    }
    test.going[0]?.answer()
    await test.clock.advance(5_000)
    assert.equal(test.jobs.result(ALICE, id, 0).state, 'running')
    store.end = end
    await test.clock.advance(5_000)
    assert.equal(test.jobs.result(ALICE, id, 0).state, 'done')
    const begin = store.begin.bind(store)
    store.begin = () => {
      throw new Error('The disk is full')
    }
    for (const each of [...test.going]) each.answer()
    await test.clock.advance(5_000)
    store.begin = begin
    await test.clock.advance(5_000)
    await answerAll(test)
    assert.deepEqual([test.jobs.get(ALICE, id).tally.done, test.begun.length, test.bugs.length > 1], [3, 3, true])
  })

  it('ends a job, and tells of it, also when the store cannot be written at just that moment', async () => {
    const store = new MemoryJobStore()
    await using test = createTestJobs({ store })
    const webhook = { url: 'http://127.0.0.1:9000/' }
    const { id } = test.jobs.submit(ALICE, testOrder('a', 1, { webhook })).job
    const endJob = store.endJob.bind(store)
    store.endJob = () => {
      throw new Error('The disk is full')
    }
    test.going[0]?.answer()
    await test.clock.advance(15_000)
    store.endJob = endJob
    await test.clock.advance(15_000)
    assert.deepEqual([test.jobs.get(ALICE, id).state, test.posted.length, test.begun.length], ['done', 1, 1])
    assert.ok(test.bugs.length > 0)
  })

  it('ends the jobs of a caller that is none any more also when the store cannot be written', async () => {
    const store = new MemoryJobStore()
    await using test = createTestJobs({ store })
    for (const name of ['a', 'b']) test.jobs.submit(ALICE, testOrder(name))
    store.remove = () => {
      throw new Error('The disk is full')
    }
    assert.equal(test.going.length, 2)
    test.revoke('alice')
    assert.deepEqual([test.going.length, test.bugs.length], [0, 2])
    await test.clock.advance(3_600_000)
    assert.equal(test.begun.length, 2)
  })

  it('tells a bug from a problem', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, testOrder('a')).job
    test.going[0]?.fail(new TypeError('oops: http://secret.test/'))
    await test.clock.advance(0)
    assert.equal(test.bugs.length, 1)
    const { problem: kept } = test.jobs.result(ALICE, id, 0)
    assert.equal(kept?.code, 'internal')
    assert.doesNotMatch(kept?.message ?? '', /oops|secret/)
  })
})

describe('an Idempotency-Key', () => {
  const order = (digest: string) => testOrder('a', 1, { idempotency: { key: 'k', digest } })

  it('makes two orders one for a day, for each caller', async () => {
    await using test = createTestJobs()
    const first = test.jobs.submit(ALICE, order('d'))
    const again = test.jobs.submit(ALICE, order('d'))
    assert.deepEqual([again.isNew, again.job.id, test.begun.length], [false, first.job.id, 1])
    assert.throws(() => test.jobs.submit(ALICE, order('e')), { code: 'idempotency_key_reused' })
    assert.ok(test.jobs.submit(BOB, order('e')).isNew)
    await answerAll(test)
    await test.clock.advance(24 * 60 * MINUTE - 1)
    assert.equal(test.jobs.submit(ALICE, order('d')).job.state, 'done')
    await test.clock.advance(1)
    assert.ok(test.jobs.submit(ALICE, order('e')).isNew)
  })

  it('does not order again what was removed', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, order('d')).job
    await answerAll(test)
    test.jobs.remove(ALICE, id)
    assert.throws(() => test.jobs.submit(ALICE, order('d')), { code: 'job_not_found' })
    assert.equal(test.begun.length, 1)
  })
})

describe('Jobs, after the process has ended', () => {
  /** As after kill -9: nobody had time to write anything down. */
  async function crash(before: (test: TestJobs) => void) {
    const kept = new MemoryJobs()
    const clock = new FakeClock()
    const test = createTestJobs({ clock, store: new MemoryJobStore(kept) })
    before(test)
    await clock.advance(1)
    const copy = structuredClone({ jobs: kept.jobs, ordered: kept.ordered, position: kept.position })
    await Promise.all([test[Symbol.asyncDispose](), clock.advance(MINUTE)])
    return { clock, kept: Object.assign(new MemoryJobs(), copy) }
  }

  it('goes on with what waited and with what may be done twice, and sends nothing else again', async () => {
    let id = ''
    const { clock, kept } = await crash(({ jobs, going }) => {
      const post = testFetch('http://a.test/post', { method: 'POST' })
      const get = testFetch('http://a.test/get')
      const waiting = testFetch('http://a.test/waiting', { method: 'POST' })
      id = jobs.submit(ALICE, { fetches: [get, post, waiting], retry: {} }).job.id
      assert.equal(going.length, 2)
    })
    await using again = createTestJobs({ clock, store: new MemoryJobStore(kept) })
    assert.deepEqual(again.begun.sort(), ['http://a.test/get', 'http://a.test/waiting'])
    await answerAll(again)
    const results = again.jobs.results(ALICE, id, { from: 0, limit: 9, maxBodyBytes: 0 }).items
    assert.deepEqual(
      results.map(({ state, problem: kept }) => [state, kept?.code]),
      [
        ['done', undefined],
        ['failed', 'connection_lost'],
        ['done', undefined],
      ],
    )
    assert.match(results[1]?.problem?.message ?? '', /may have been sent/)
    assert.equal(again.jobs.get(ALICE, id).state, 'done')
  })

  it('gives up a fetch during which the process ends again and again', async () => {
    const clock = new FakeClock()
    let id = ''
    let left = new MemoryJobs()
    for (let n = 0; n < 5; n++) {
      const test = createTestJobs({ clock, store: new MemoryJobStore(left) })
      if (n === 0) id = test.jobs.submit(ALICE, testOrder('a', 1, { retry: { maxRetries: { http: 0 } } })).job.id
      assert.equal(test.going.length, n <= 3 ? 1 : 0)
      const copy = Object.assign(new MemoryJobs(), structuredClone({ ...left }))
      await test[Symbol.asyncDispose]()
      left = copy
    }
    assert.equal(new MemoryJobStore(left).result(id, 0)?.problem?.code, 'connection_lost')
  })

  it('ends a job all of whose fetches had ended', async () => {
    let id = ''
    const { clock, kept } = await crash(({ jobs }) => {
      id = jobs.submit(ALICE, { fetches: [testFetch('http://a.test/post', { method: 'POST' })], retry: {} }).job.id
    })
    await using again = createTestJobs({ clock, store: new MemoryJobStore(kept) })
    assert.deepEqual([again.jobs.get(ALICE, id).state, again.begun], ['done', []])
  })

  it('has given a POST some time to end when it is stopped in an orderly way', async () => {
    const kept = new MemoryJobs()
    const clock = new FakeClock()
    const test = createTestJobs({ clock, store: new MemoryJobStore(kept) })
    const post = testFetch('http://a.test/post', { method: 'POST' })
    const { id } = test.jobs.submit(ALICE, { fetches: [testFetch('http://a.test/get'), post], retry: {} }).job
    const [get, posting] = [...test.going]
    const stopped = test[Symbol.asyncDispose]()
    assert.deepEqual([get?.signal.aborted, posting?.signal.aborted], [true, false])
    posting?.answer()
    await stopped
    const store = new MemoryJobStore(kept)
    const [getting, posted] = [store.result(id, 0), store.result(id, 1)]
    assert.deepEqual([getting?.state, getting?.tries, posted?.state], ['waiting', 0, 'done'])
  })
})
