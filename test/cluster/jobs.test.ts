import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTestReplica } from '../../src/jobs/shared/test-replica.ts'
import { ADMIN, ALICE, BOB, createTestWorld, testFetch, testOrder } from '../../src/jobs/test-jobs.ts'
import { answerAll, problem, until } from '../contracts/jobs-contract.ts'
import { startValkey } from '../valkey.ts'

const HUNG = { timeout: 120_000 }
const ALL = { from: 0, limit: 100, maxBodyBytes: 1_000_000 }

class Runner implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ready: Promise<void>

  constructor(url: string, begun: string[]) {
    const words = ['--pdeathsig', 'KILL', process.execPath, join(import.meta.dirname, 'job-process.ts'), url]
    const child = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'inherit'] })
    const { promise, resolve } = Promise.withResolvers<void>()
    createInterface({ input: child.stdout }).on('line', (line) => (line === 'ready' ? resolve() : begun.push(line)))
    this.#child = child
    this.#ready = promise
  }

  async ready(): Promise<this> {
    await this.#ready
    return this
  }

  /** It stands still from now on, and comes back when it is told to. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

describe('jobs of several gateways', HUNG, () => {
  it('are the same through each of them, and carried out by all', async () => {
    await using store = await startValkey()
    const [one, two] = [createTestWorld(), createTestWorld()]
    await using first = await openTestReplica(store.url, one, { concurrency: 1, concurrencyPerJob: 4 })
    await using second = await openTestReplica(store.url, two, { concurrency: 1, concurrencyPerJob: 4 })
    const order = testOrder('a', 6, { idempotency: { key: 'k', digest: 'd' } })
    const { job } = await first.jobs.submit(ALICE, order)
    await until(() => one.going.length === 1 && two.going.length === 1)
    assert.deepEqual((await second.jobs.submit(ALICE, order)).isNew, false)
    assert.equal((await second.jobs.get(ALICE, job.id)).tally.running.first, 2)
    await until(async () => {
      for (const each of [...one.going, ...two.going]) each.answer()
      return (await second.jobs.get(ALICE, job.id)).state === 'done'
    })
    assert.deepEqual(
      [...one.begun, ...two.begun].sort(),
      order.fetches.map(({ request }) => request.url),
    )
    assert.deepEqual(await first.jobs.get(ALICE, job.id), await second.jobs.get(ALICE, job.id))

    const other = (await first.jobs.submit(BOB, testOrder('b', 2))).job.id
    await until(() => one.going.length === 1 && two.going.length === 1)
    const running = [...one.going, ...two.going]
    assert.equal((await second.jobs.cancel(ADMIN, other)).tally.cancelled, 2)
    await until(() => running.every(({ signal }) => signal.aborted))
  })

  it('are left to others by a gateway that has no worker', async () => {
    await using store = await startValkey()
    const [one, two] = [createTestWorld(), createTestWorld()]
    await using first = await openTestReplica(store.url, one, { concurrency: 2, concurrencyPerJob: 2 })
    const { job } = await first.jobs.submit(ALICE, testOrder('a', 20))
    await until(() => one.going.length === 2)
    await using second = await openTestReplica(store.url, two, { concurrency: 2, concurrencyPerJob: 2 })
    for (const each of [...one.going]) each.fail(problem('no_worker', { retryAfterMs: 6_000 }))
    const began = performance.now()
    await until(async () => {
      for (const each of [...two.going]) each.answer()
      return (await second.jobs.get(ALICE, job.id)).tally.done >= 18
    })
    assert.ok(one.begun.length <= 4, `${one.begun.length}`)
    assert.ok(performance.now() - began < 30_000)
    await until(async () => {
      for (const each of [...one.going, ...two.going]) each.answer()
      return (await second.jobs.get(ALICE, job.id)).state === 'done'
    })
  })

  it('have nothing in the store that says what was fetched', async () => {
    await using store = await startValkey()
    const world = createTestWorld()
    await using replica = await openTestReplica(store.url, world)
    const fetch = testFetch('http://planted-host.test/planted-path', {
      ...{ method: 'PUT', headers: [['x-planted', 'planted-value']], body: Buffer.from('planted-body') },
      stickyKey: 'planted-sticky',
    })
    const { job } = await replica.jobs.submit(ALICE, {
      ...{ fetches: [fetch, fetch], retry: {}, name: 'planted-name' },
      webhook: { url: 'http://127.0.0.1:9000/planted-hook', secret: 'planted-secret-long' },
      idempotency: { key: 'planted-key', digest: 'planted-digest' },
    })
    await until(() => world.going.length === 2)
    world.going[0]?.answer({ body: Buffer.from('planted-answer'), headers: [['x-a', 'planted-header']] })
    await until(async () => (await replica.jobs.get(ALICE, job.id)).tally.done === 1)
    for (const key of (await store.cli('--scan')).split('\n')) {
      const dump = await store.cli('--no-raw', 'DUMP', key)
      assert.doesNotMatch(`${key} ${dump}`, /planted/, key)
    }
  })

  it('cannot be ordered while the store is away; what runs goes on, and is written down when it is back', async () => {
    await using store = await startValkey()
    const world = createTestWorld()
    await using replica = await openTestReplica(store.url, world, { concurrencyPerJob: 4 })
    const { jobs, link } = replica
    const { job } = await jobs.submit(ALICE, testOrder('a', 6))
    await until(() => world.going.length === 4)
    await store.stop()
    await until(() => !link.isUp)
    await assert.rejects(jobs.submit(ALICE, testOrder('b')), { code: 'store_unavailable', retryAfterMs: 5_000 })
    await assert.rejects(jobs.get(ALICE, job.id), { code: 'store_unavailable' })
    // Long enough for every lock to run out.
    world.going[0]?.answer({ body: Buffer.from('meanwhile') })
    await sleep(9_000)
    assert.ok(world.going.every(({ signal }) => !signal.aborted))
    await store.restart()
    await until(() => link.isUp)
    const ended = await answerAll(world, jobs, ALICE, job.id)
    assert.deepEqual([ended.tally.done, world.begun.length], [6, 6])
    const { items } = await jobs.results(ALICE, job.id, ALL)
    assert.equal(items.filter(({ body }) => String(body) === 'meanwhile').length, 1)
    assert.deepEqual(world.bugs, [])
  })

  it('let go of a store that is away when the gateway ends, and are done by another one', async () => {
    await using store = await startValkey()
    const [one, two] = [createTestWorld(), createTestWorld()]
    const first = await openTestReplica(store.url, one)
    const { job } = await first.jobs.submit(ALICE, testOrder('a', 4))
    await until(() => one.going.length === 2)
    await store.stop()
    await until(() => !first.link.isUp)
    await first[Symbol.asyncDispose]()
    assert.equal(one.going.length, 0)
    await store.restart()
    await using second = await openTestReplica(store.url, two)
    const ended = await answerAll(two, second.jobs, ALICE, job.id)
    assert.deepEqual([ended.tally.done, two.begun.length], [4, 4])
    assert.deepEqual([...one.bugs, ...two.bugs], [])
  })

  it('outlast a store that stands still', async () => {
    await using store = await startValkey()
    const world = createTestWorld()
    await using replica = await openTestReplica(store.url, world, { concurrencyPerJob: 4 })
    const { jobs, link } = replica
    const { job } = await jobs.submit(ALICE, testOrder('a', 6))
    await until(() => world.going.length === 4)
    store.freeze()
    world.going[0]?.answer()
    await until(() => !link.isUp)
    await assert.rejects(jobs.submit(ALICE, testOrder('b')), { code: 'store_unavailable' })
    await sleep(5_000)
    store.thaw()
    await until(() => link.isUp)
    const ended = await answerAll(world, jobs, ALICE, job.id)
    assert.deepEqual([ended.tally.done, world.begun.length], [6, 6])
  })

  it('have one result for each fetch, however often gateways are killed', async () => {
    await using store = await startValkey()
    const begun: string[] = []
    await using stack = new AsyncDisposableStack()
    const start = () => stack.use(new Runner(store.url, begun))
    const runners = await Promise.all([start(), start(), start()].map((each) => each.ready()))
    const world = createTestWorld()
    // It takes orders alone.
    await using front = await openTestReplica(store.url, world, { concurrency: 1, concurrencyPerJob: 8 })
    const orders = [
      testOrder('a', 60),
      testOrder('b', 60),
      {
        fetches: Array.from({ length: 60 }, (_, n) => testFetch(`http://post.test/${n}`, { method: 'POST' })),
        retry: {},
      },
    ]
    const ids: string[] = []
    for (const order of orders) ids.push((await front.jobs.submit(ALICE, order)).job.id)
    for (const runner of runners.slice(0, 2)) {
      await sleep(700)
      await runner[Symbol.asyncDispose]()
      start()
    }
    for (const [at, id] of ids.entries()) {
      const job = await answerAll(world, front.jobs, ALICE, id)
      const { items } = await front.jobs.results(ALICE, id, ALL)
      assert.equal(items.length, 60)
      assert.equal(job.tally.done + job.tally.failed, 60)
      if (at < 2) assert.equal(job.tally.done, 60)
      for (const { problem } of items) if (problem) assert.match(problem.message, /may have been sent/)
    }
    const posts = [...begun.filter((line) => line.startsWith('POST')), ...world.begun.filter((url) => /post/.test(url))]
    assert.equal(new Set(posts.map((line) => line.replace('POST ', ''))).size, posts.length)
    assert.deepEqual(world.bugs, [])
  })

  it('hear nothing any more of a gateway that stood still meanwhile', async () => {
    await using store = await startValkey()
    const begun: string[] = []
    await using runner = await new Runner(store.url, begun).ready()
    const world = createTestWorld()
    await using other = await openTestReplica(store.url, world, { concurrency: 1, concurrencyPerJob: 4 })
    const fetches = ['GET', 'POST'].map((method) => testFetch(`http://${method.toLowerCase()}.test/`, { method }))
    // Of which the other one takes one at the most.
    const { job } = await other.jobs.submit(ALICE, { fetches: [...fetches, ...fetches], retry: {} })
    await until(() => begun.length + world.going.length === 4)
    runner.pause()
    world.going[0]?.answer()
    const ended = await answerAll(world, other.jobs, ALICE, job.id)
    const before = await other.jobs.results(ALICE, job.id, ALL)
    runner.resume()
    await sleep(3_000)
    assert.deepEqual(await other.jobs.get(ALICE, job.id), ended)
    assert.deepEqual(await other.jobs.results(ALICE, job.id, ALL), before)
    const posts = [...begun, ...world.begun].filter((line) => /post\.test/.test(line))
    assert.equal(posts.length, 2)
    assert.equal(ended.tally.done + ended.tally.failed, 4)
  })
})
