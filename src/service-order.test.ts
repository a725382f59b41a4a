import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { parseConfig } from './config/read-config.ts'
import { ANYBODY, type Caller } from './domain/caller.ts'
import type { CbtorError } from './domain/errors.ts'
import type { FetchRequest } from './domain/exchange.ts'
import { Identities } from './domain/identity.ts'
import { Metrics } from './events/metrics.ts'
import { Fetcher } from './fetch/fetcher.ts'
import { createTargetPolicy } from './fetch/target-policy.ts'
import { turns } from './fetch/test-fetch-lab.ts'
import { fetchRequest, TestServer, TestWorkers } from './fetch/test-lab.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { seededRandom, systemRandom } from './lib/random.ts'
import { MemoryUsage } from './limits/memory-usage.ts'
import { Pool } from './pool/pool.ts'
import { createOrder } from './service-order.ts'
import { poolSource } from './test-pool-source.ts'

const A = callerOf('a')
const B = callerOf('b')

describe('politeness', () => {
  it('gives a host no more than so many at a time from each worker, and lets the others wait', async () => {
    await using lab = await createLab()
    const held = await lab.hold('a.test:80')
    const fetches = Array.from({ length: 10 }, () => lab.fetch('http://a.test/'))
    await lab.settle(() => held.length === 8)
    await turns()
    assert.equal(held.length, 8, '4 from each of two workers')
    assert.equal(lab.waiting(), 2)
    assert.equal(await lab.fetch('http://b.test/').catch(({ code }) => code), 'resolve_failed', 'others are free')
    await lab.clock.advance(1_000)
    held[0]?.end('ok')
    await lab.settle(() => held.length === 9)
    for (const response of held.slice(1)) response.end('ok')
    await lab.settle(() => held.length === 10)
    held[9]?.end('ok')
    const answers = await Promise.all(fetches)
    assert.deepEqual(
      answers.map(({ timing }) => timing.queueMs),
      [...new Array(8).fill(0), 1_000, 1_000],
    )
    assert.equal(lab.waiting(), 0)
  })

  it('is slow after a burst: who can be served in time waits, who cannot is refused with when to come back', async () => {
    await using lab = await createLab({ workers: 1 })
    await lab.serve('a.test:80')
    for (let n = 0; n < 4; n++) await lab.fetch('http://a.test/')
    const fifth = lab.fetch('http://a.test/')
    await turns()
    assert.equal(lab.waiting(), 1)
    await lab.clock.advance(500)
    assert.equal((await fifth).timing.queueMs, 500)
    const hurried = await lab.refused('http://a.test/', { timeoutMs: 499 })
    assert.deepEqual([hurried.code, hurried.retryAfterMs], ['target_busy', 1_000])
    assert.equal(lab.waiting(), 0)
  })

  it('counts every redirect, and fails one that leads where the key is asked to wait', async () => {
    await using lab = await createLab({ workers: 1 })
    await lab.serve('a.test:80', (response) => response.writeHead(302, { location: 'http://b.test/' }).end())
    await lab.serve('b.test:80', (response) => response.writeHead(503, { 'retry-after': '20' }).end())
    assert.equal((await lab.fetch('http://a.test/')).status, 503)
    const refusal = await lab.refused('http://a.test/')
    assert.deepEqual([refusal.code, refusal.retryAfterMs], ['target_busy', 20_000])
    assert.equal(refusal.redirects.length, 1)
    assert.equal((await lab.fetch('http://a.test/', { caller: B })).status, 503)
  })

  it('holds back the key that was told so by the target, and asks again when the time has come', async () => {
    await using lab = await createLab()
    let asked = 0
    await lab.serve('a.test:80', (response) => {
      asked++
      response.writeHead(429, { 'retry-after': '30' }).end()
    })
    assert.equal((await lab.fetch('http://a.test/', { caller: A })).status, 429)
    const refusal = await lab.refused('http://a.test/', { caller: A })
    assert.deepEqual([refusal.code, refusal.retryAfterMs], ['target_busy', 30_000])
    assert.equal((await lab.fetch('http://a.test/', { caller: B })).status, 429, 'nobody has told another key')
    await assert.rejects(lab.forward('http://a.test/', A), { code: 'target_busy' })
    await assert.rejects(lab.fetcher.dialer.open({ ...TUNNEL, caller: A }, undefined, never), { code: 'target_busy' })
    assert.equal(asked, 2)
    await lab.clock.advance(30_000)
    assert.equal((await lab.fetch('http://a.test/', { caller: A })).status, 429)
    assert.equal(asked, 3)
  })

  it('holds back a key whose forwarded request was told so', async () => {
    await using lab = await createLab()
    await lab.serve('a.test:80', (response) => response.writeHead(503, { 'retry-after': '30' }).end())
    const answer = await lab.forward('http://a.test/', A)
    answer.body.resume()
    assert.equal((await lab.refused('http://a.test/', { caller: A })).code, 'target_busy')
  })

  it('does not count tunnels that stand', async () => {
    await using lab = await createLab({ workers: 1 })
    const server = await TestServer.tcp(() => {})
    lab.use('a.test:80', server)
    for (let n = 0; n < 20; n++) {
      const opening = lab.fetcher.dialer.open(TUNNEL, undefined, never)
      while (!(await isSettled(opening))) await lab.clock.advance(250)
    }
    assert.equal(server.sockets.size, 20)
  })

  it('lets a page of plain http have all its parts, some at a time', async () => {
    await using lab = await createLab({ workers: 1 })
    let [atOnce, most] = [0, 0]
    await lab.serve('a.test:80', (response) => {
      most = Math.max(most, ++atOnce)
      setImmediate(() => {
        atOnce--
        response.end('part')
      })
    })
    const part = async () => void (await (await lab.forward('http://a.test/', A)).body.toArray())
    await Promise.all(Array.from({ length: 60 }, part))
    assert.ok(most <= 4, `${most} at a time`)
  })

  it('lets a session wait for its worker, and moves it not', async () => {
    await using lab = await createLab()
    await lab.serve('a.test:80')
    const sticky = { stickyKey: 's', caller: A }
    const { worker } = await lab.fetch('http://a.test/', sticky)
    for (let n = 0; n < 3; n++) await lab.fetch('http://a.test/', sticky)
    const waiting = lab.fetch('http://a.test/', sticky)
    await turns()
    assert.equal(lab.waiting(), 1)
    const other = await lab.fetch('http://a.test/')
    assert.notEqual(other.worker, worker, 'the other worker has room')
    await lab.clock.advance(500)
    const answer = await waiting
    assert.equal(answer.worker, worker)
    assert.notEqual(answer.sessionMoved, true)
  })

  it('is not overrun by second tries: a worker with no room is as if tried', async () => {
    await using lab = await createLab()
    await lab.serve('a.test:80')
    for (let n = 0; n < 4; n++) await lab.fetch('http://a.test/', { workerId: 'w2' })
    lab.connects.faults.set('w1', 'worker_unreachable')
    const failure = await lab.refused('http://a.test/', { workerId: 'w1' })
    assert.equal(failure.code, 'worker_unreachable')
    const { code, attempts } = await lab.refused('http://a.test/')
    assert.equal(code, 'worker_unreachable')
    assert.deepEqual(
      attempts.map(({ worker }) => worker),
      ['w1'],
    )
  })

  it('can be off', async () => {
    await using lab = await createLab({ workers: 1, politeness: 'off' })
    const held = await lab.hold('a.test:80')
    const fetches = Array.from({ length: 50 }, () => lab.fetch('http://a.test/'))
    await lab.settle(() => held.length === 50)
    for (const response of held) response.end('ok')
    await Promise.all(fetches)
  })
})

describe('a full pool', () => {
  const FULL = { workers: 1, maxLeases: 2, politeness: 'off' as const }

  it('lets requests wait until a worker is free, keys in turn', async () => {
    await using lab = await createLab(FULL)
    const held = await lab.hold('a.test:80')
    const order: string[] = []
    const ask = (caller: Caller) => lab.fetch('http://a.test/', { caller }).then(() => void order.push(caller.id))
    const all = [ask(A), ask(A), ask(A), ask(A), ask(A), ask(B)]
    await lab.settle(() => held.length === 2)
    assert.equal(lab.waiting(), 4)
    for (let n = 0; n < 6; n++) {
      await lab.settle(() => held.length === Math.min(n + 2, 6))
      held[n]?.end('ok')
      await lab.settle(() => order.length > n)
    }
    await Promise.all(all)
    assert.deepEqual(order.slice(0, 4), ['a', 'a', 'a', 'b'])
    assert.equal(lab.pool.entries()[0]?.leases, 0)
  })

  it('holds up nobody behind a session that waits for its own worker since another of its requests was served', async () => {
    await using lab = await createLab({ workers: 2, maxLeases: 1, politeness: 'off' })
    const held = await lab.hold('a.test:80')
    const going = ['w1', 'w2'].map((workerId) => lab.fetch('http://a.test/', { workerId }))
    await lab.settle(() => held.length === 2)
    const inSession = () => lab.fetch('http://a.test/', { caller: A, stickyKey: 's' })
    const other = () => lab.fetch('http://a.test/', { caller: B })
    const asked = [inSession(), other(), inSession(), other()]
    await turns()
    assert.equal(lab.waiting(), 4)
    for (const [n, ended] of [0, 1, 3, 2, 5, 4].entries()) {
      held[ended]?.end('ok')
      if (n < 4) await lab.settle(() => held.length === n + 3)
    }
    const [first, , second] = await Promise.all(asked)
    assert.equal(first?.worker, second?.worker)
    await Promise.all(going)
  })

  it('refuses when the wait is over, with an answer that says for whom it is to wait', async () => {
    await using lab = await createLab(FULL)
    const held = await lab.hold('a.test:80')
    const going = [lab.fetch('http://a.test/'), lab.fetch('http://a.test/')]
    await lab.settle(() => held.length === 2)
    const refusal = lab.refused('http://a.test/')
    await turns()
    await lab.clock.advance(5_000)
    const { code, retryAfterMs } = await refusal
    assert.deepEqual([code, retryAfterMs], ['overloaded', 5_000], 'nobody was served in that time')
    for (const response of held) response.end('ok')
    await Promise.all(going)
  })

  it('counts the wait into the time limit', async () => {
    await using lab = await createLab(FULL)
    const held = await lab.hold('a.test:80')
    const going = [lab.fetch('http://a.test/'), lab.fetch('http://a.test/')]
    await lab.settle(() => held.length === 2)
    const short = lab.refused('http://a.test/', { timeoutMs: 3_000 })
    await turns()
    await lab.clock.advance(2_000)
    held[0]?.end('ok')
    await lab.settle(() => held.length === 3)
    await lab.clock.advance(999)
    assert.equal(await isSettled(short), false)
    await lab.clock.advance(1)
    assert.equal((await short).code, 'timeout')
    held[1]?.end('ok')
    await Promise.all(going)
  })

  it('forgets a client that leaves while it waits, at once', async () => {
    await using lab = await createLab(FULL)
    const held = await lab.hold('a.test:80')
    const going = [lab.fetch('http://a.test/'), lab.fetch('http://a.test/')]
    await lab.settle(() => held.length === 2)
    const client = new AbortController()
    const waiting = lab.fetcher.fetch(fetchRequest('http://a.test/', { stickyKey: 's' }), client.signal)
    await turns()
    assert.equal(lab.waiting(), 1)
    client.abort(new Error('gone'))
    assert.equal(lab.waiting(), 0)
    await assert.rejects(waiting, /gone/)
    for (const response of held) response.end('ok')
    await Promise.all(going)
  })

  it('answers shutting_down to all who wait when the service ends', async () => {
    await using lab = await createLab(FULL)
    const held = await lab.hold('a.test:80')
    const going = Array.from({ length: 5 }, () => lab.fetch('http://a.test/').catch(({ code }) => code))
    await lab.settle(() => held.length === 2)
    lab.fetcher[Symbol.dispose]()
    assert.deepEqual(await Promise.all(going), new Array(5).fill('shutting_down'))
    assert.equal(lab.waiting(), 0)
  })

  it('tells those who wait at once when no worker is left', async () => {
    await using lab = await createLab(FULL)
    const held = await lab.hold('a.test:80')
    const going = [lab.fetch('http://a.test/'), lab.fetch('http://a.test/')]
    await lab.settle(() => held.length === 2)
    const waiting = [lab.refused('http://a.test/'), lab.refused('http://a.test/', { workerId: 'w1' })]
    await turns()
    assert.equal(lab.waiting(), 2)
    lab.pool.setHealth('w1', 'dead')
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ code }) => code),
      ['no_worker', 'no_worker'],
    )
    for (const response of held) response.end('ok')
    await Promise.all(going)
  })
})

it('a key that says nothing may have half of what the pool takes', () => {
  const { order } = orderOf({ places: 8 })
  for (let n = 0; n < 4; n++) order.admission.admit(A)
  assert.throws(() => order.admission.admit(A), { code: 'concurrency_limited' })
  order.admission.admit(B)
})

const never = new AbortController().signal
const TUNNEL = { host: 'a.test', port: 80, isolation: 'destination' as const }

interface LabOptions {
  readonly workers?: number
  readonly maxLeases?: number
  readonly politeness?: 'off'
}

function orderOf({ places, politeness }: { places: number; politeness?: 'off' }) {
  const clock = new FakeClock()
  const config = parseConfig({ state: '/nowhere', ...(politeness && { politeness }) }, {})
  const metrics = new Metrics({ workers: () => [] })
  return { clock, metrics, order: createOrder(config, { clock, metrics, places, usage: new MemoryUsage() }) }
}

/** A fetcher over a pool of workers w1, w2, … that dial what is served. */
async function createLab({ workers = 2, maxLeases = 64, politeness }: LabOptions = {}) {
  const stack = new AsyncDisposableStack()
  const { clock, order } = orderOf({ places: maxLeases * workers, ...(politeness && { politeness }) })
  const members = Array.from({ length: workers }, (_, index) => ({ name: { id: `w${index + 1}`, n: index + 1 } }))
  const random = seededRandom(1)
  const pool = new Pool(members, { clock, random, maxLeases, onRoom: (worker) => order.onRoom(worker) })
  for (const { name } of members) pool.setHealth(name.id, 'healthy')
  const connects = new TestWorkers(workers)
  const fetcher = new Fetcher({
    ...{ clock, random, order: order.order, verdictMs: 0 },
    identities: new Identities(Buffer.alloc(32, 1), () => systemRandom.bytes(32)),
    policy: createTargetPolicy(),
    source: poolSource(pool, connects),
  })
  const use = (address: string, server: TestServer) => {
    connects.network.set(address, server.port)
    stack.use(server)
  }
  const fetch = (url: string, changes: Partial<FetchRequest> = {}) => fetcher.fetch(fetchRequest(url, changes), never)
  const serve = async (
    address: string,
    answer: (response: ServerResponse) => unknown = (response) => response.end('ok'),
  ) => use(address, await TestServer.http((_, response) => answer(response)))
  return {
    ...{ clock, pool, connects, fetcher, use, fetch, serve },
    waiting: () => order.waiting,
    /** Answers only when told. */
    async hold(address: string): Promise<ServerResponse[]> {
      const held: ServerResponse[] = []
      await serve(address, (response) => void held.push(response))
      return held
    },
    forward: (url: string, caller: Caller) =>
      fetcher.forwarder.forward(
        { ...{ url, caller, isolation: 'destination', method: 'GET' }, headers: [], body: undefined },
        never,
      ),
    refused: (url: string, changes: Partial<FetchRequest> = {}): Promise<CbtorError> =>
      fetch(url, changes).then(
        () => assert.fail(`${url} was answered`),
        (error) => error,
      ),
    /** Lets the network have its time, and the clock none. */
    async settle(isSo: () => boolean): Promise<void> {
      for (let n = 0; n < 2_000 && !isSo(); n++) await turns(1)
      assert.ok(isSo(), 'it has not come about')
    },
    async [Symbol.asyncDispose]() {
      fetcher[Symbol.dispose]()
      await stack.disposeAsync()
    },
  }
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  )
  return await Promise.race([settled, turns().then(() => false)])
}

function callerOf(id: string): Caller {
  return { ...ANYBODY, id }
}
