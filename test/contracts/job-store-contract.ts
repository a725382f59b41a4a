import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fakeAnswer } from '../../src/api/fake-backend.ts'
import type { FetchAnswer, FetchRequest } from '../../src/domain/exchange.ts'
import type { JobFetch, KeptProblem } from '../../src/domain/job.ts'
import type { JobStore, StoredJob } from '../../src/jobs/job-store.ts'

const NOW = 1_000_000

function job(id: string, change: Partial<StoredJob> = {}): StoredJob {
  return {
    ...{
      id,
      owner: 'alice',
      name: undefined,
      state: 'running',
      createdAt: NOW,
      endedAt: undefined,
      deadlineAt: NOW + 1_000,
    },
    fetches: 3,
    retry: {
      phases: {
        descriptor: { delaysMs: [1], maxRetries: 1 },
        circuit: { delaysMs: [1], maxRetries: 1 },
        http: { delaysMs: [1], maxRetries: 1 },
      },
      statuses: [503],
    },
    ...{ webhook: undefined, delivery: { state: 'idle', tries: 0 } },
    ...change,
  }
}

function fetches(count = 3, method = 'GET'): JobFetch[] {
  return Array.from({ length: count }, (_, n) => ({
    request: {
      ...{
        url: `http://site${n}.test/`,
        method,
        headers: [['x-a', 'ö']],
        timeoutMs: 1,
        maxBytes: 2,
        followRedirects: true,
      },
      ...{ maxRedirects: 3, allowDowngrade: false, allowOnionToClearnet: false, isolation: 'request' },
      ...(method === 'POST' && { body: Uint8Array.of(0, 255, n) }),
    },
    responseEncoding: 'auto',
  }))
}

function answer(body: string): FetchAnswer {
  const request = { ...fetches(1)[0]?.request } as FetchRequest
  return fakeAnswer(request, { body: Buffer.from(body), headers: [['set-cookie', 'a=ö']], exit: undefined })
}

const PROBLEM: KeptProblem = { code: 'onion_not_found', message: 'It is not there', attempts: [], redirects: [] }

/** `open` opens the same store again and again: what one opening wrote, the next one reads. */
export function jobStoreContract(name: string, create: () => { open(): JobStore } & Disposable): void {
  describe(`the ${name} store keeps the promise of a store of jobs`, () => {
    it('keeps a job, and what it is to send', () => {
      using place = create()
      const stored = job('a', { name: 'ünder', webhook: { url: 'http://x.test/', secret: 's'.repeat(16) } })
      {
        using store = place.open()
        store.add(stored, fetches(3, 'POST'), { key: 'k', digest: 'd' })
      }
      using store = place.open()
      assert.deepEqual(store.job('a'), stored)
      assert.equal(store.job('b'), undefined)
      const due = store.due('a', NOW)
      assert.equal(due?.n, 0)
      assert.deepEqual(
        { ...due?.request, body: [...(due?.request.body ?? [])] },
        {
          ...fetches(1, 'POST')[0]?.request,
          body: [0, 255, 0],
        },
      )
      assert.deepEqual(store.ordered('alice', 'k'), { digest: 'd', jobId: 'a', at: NOW })
      assert.equal(store.ordered('bob', 'k'), undefined)
      assert.deepEqual([store.orderedCount('alice'), store.orderedCount('bob')], [1, 0])
    })

    it('lists jobs from the newest on, of one caller or of all, page by page', () => {
      using place = create()
      using store = place.open()
      for (const id of ['a', 'b', 'c', 'd', 'e']) store.add(job(id, { owner: id === 'c' ? 'bob' : 'alice' }), [])
      const first = store.list({ owner: 'alice', limit: 2 })
      assert.deepEqual(
        first.items.map(({ id }) => id),
        ['e', 'd'],
      )
      assert.ok(first.next !== undefined)
      store.add(job('f'), [])
      const second = store.list({ owner: 'alice', limit: 2, before: first.next })
      assert.deepEqual([second.items.map(({ id }) => id), second.next], [['b', 'a'], undefined])
      assert.deepEqual(
        store.list({ limit: 9 }).items.map(({ id }) => id),
        ['f', 'e', 'd', 'c', 'b', 'a'],
      )
      assert.deepEqual(store.owners(), ['alice', 'bob'])
      assert.deepEqual([store.runningCount(), store.runningCount('bob')], [6, 1])
    })

    it('gives fetches their turns by time, then in order', () => {
      using place = create()
      using store = place.open()
      store.add(job('a'), fetches())
      const take = (now: number) => {
        const n = store.due('a', now)?.n
        if (n !== undefined) store.begin('a', n, { isDurable: n === 0 })
        return n
      }
      assert.deepEqual([take(NOW), take(NOW), take(NOW), take(NOW)], [0, 1, 2, undefined])
      store.putOff('a', 0, NOW + 20, { phase: 'circuit', problem: PROBLEM })
      store.putOff('a', 1, NOW + 10)
      assert.deepEqual(
        [take(NOW + 9), take(NOW + 20), store.due('a', NOW + 20)?.failures],
        [undefined, 1, { descriptor: 0, circuit: 1, http: 0 }],
      )
    })

    it('tells how far a job has come', () => {
      using place = create()
      using store = place.open()
      store.add(job('a', { fetches: 6 }), fetches(6))
      for (let n = 0; n < 5; n++) store.begin('a', n)
      store.putOff('a', 0, NOW + 50, { phase: 'descriptor', problem: PROBLEM })
      store.putOff('a', 1, NOW + 40, { phase: 'http' })
      store.begin('a', 1)
      store.putOff('a', 2, NOW + 60)
      store.end('a', 3, NOW + 1, { state: 'done', answer: answer('x') })
      store.end('a', 4, NOW + 1, { state: 'failed', problem: PROBLEM })
      assert.deepEqual(store.outlook('a'), { nextAt: NOW, isOver: false })
      assert.deepEqual(store.tally('a'), {
        waiting: { first: 2, descriptor: 1, circuit: 0, http: 0 },
        running: { first: 0, descriptor: 0, circuit: 0, http: 1 },
        ...{ done: 1, failed: 1, cancelled: 0, nextAt: NOW },
      })
    })

    it('keeps results in order, whole or without large bodies', () => {
      using place = create()
      {
        using store = place.open()
        store.add(job('a'), fetches())
        store.begin('a', 1)
        store.putOff('a', 1, NOW, { phase: 'descriptor', problem: PROBLEM })
        for (const n of [2, 1]) store.begin('a', n)
        store.end('a', 2, NOW + 7, { state: 'done', answer: answer('a long body') })
        store.end('a', 1, NOW + 8, { state: 'done', answer: answer('short') })
      }
      using store = place.open()
      const page = store.results('a', { from: 0, limit: 2, maxBodyBytes: 5 })
      assert.equal(page.next, 2)
      const [waiting, done] = page.items
      assert.deepEqual(
        [waiting?.state, waiting?.nextAt, waiting?.answer, waiting?.body],
        ['waiting', NOW, undefined, undefined],
      )
      const { body: _, ...head } = answer('')
      assert.deepEqual(done, {
        ...{
          n: 1,
          url: 'http://site1.test/',
          method: 'GET',
          responseEncoding: 'auto',
          state: 'done',
          phase: 'descriptor',
        },
        ...{
          tries: 2,
          nextAt: undefined,
          endedAt: NOW + 8,
          answer: head,
          body: done?.body,
          bodyBytes: 5,
          problem: undefined,
        },
      })
      assert.equal(Buffer.from(done?.body as Uint8Array).toString(), 'short')
      const rest = store.results('a', { from: 2, limit: 2, maxBodyBytes: 5 })
      assert.deepEqual([rest.items[0]?.body, rest.items[0]?.bodyBytes, rest.next], ['too-large', 11, undefined])
      assert.equal(Buffer.from(store.result('a', 2)?.body as Uint8Array).toString(), 'a long body')
      assert.equal(store.result('a', 3), undefined)
      assert.deepEqual(store.results('nobody', { from: 0, limit: 2, maxBodyBytes: 5 }), { items: [], next: undefined })
    })

    it('ends a fetch once', () => {
      using place = create()
      using store = place.open()
      store.add(job('a'), fetches(1))
      store.begin('a', 0)
      store.cancelRest('a', NOW)
      store.end('a', 0, NOW, { state: 'done', answer: answer('late') })
      store.putOff('a', 0, NOW)
      assert.deepEqual([store.result('a', 0)?.state, store.tally('a').cancelled], ['cancelled', 1])
      assert.deepEqual(store.outlook('a'), { nextAt: undefined, isOver: true })
    })

    it('fails what waits for the reason it has, or else for the one that it is given', () => {
      using place = create()
      using store = place.open()
      store.add(job('a'), fetches())
      store.begin('a', 0)
      store.putOff('a', 0, NOW, { phase: 'descriptor', problem: PROBLEM })
      store.begin('a', 1)
      store.failWaiting('a', NOW + 5, { ...PROBLEM, code: 'timeout' })
      const states = store.results('a', { from: 0, limit: 9, maxBodyBytes: 0 }).items
      assert.deepEqual(
        states.map(({ state, problem, endedAt }) => [state, problem?.code, endedAt]),
        [
          ['failed', 'onion_not_found', NOW + 5],
          ['running', undefined, undefined],
          ['failed', 'timeout', NOW + 5],
        ],
      )
    })

    it('knows after an end of the process what was running, and what goes on', () => {
      using place = create()
      {
        using store = place.open()
        store.add(job('a', { delivery: { state: 'pending', tries: 1, nextAt: 5 } }), fetches(3, 'POST'))
        store.add(job('b'), fetches())
        store.begin('a', 1)
        store.begin('b', 2)
        store.putOff('b', 2, NOW, { phase: 'http', problem: PROBLEM })
        store.begin('b', 2)
        store.endJob('b', 'cancelled', NOW + 1)
      }
      using store = place.open()
      assert.deepEqual(store.interrupted(), [
        { id: 'a', n: 1, method: 'POST', failuresInHttp: 0 },
        { id: 'b', n: 2, method: 'GET', failuresInHttp: 1 },
      ])
      assert.deepEqual(
        store.running().map(({ id }) => id),
        ['a'],
      )
      assert.deepEqual(store.withPendingWebhook(), ['a'])
      assert.deepEqual(store.countByState(), { running: 1, done: 0, cancelled: 1 })
      store.setDelivery('a', { state: 'delivered', tries: 2, outcome: '204' })
      assert.deepEqual([store.withPendingWebhook(), store.job('a')?.delivery.outcome], [[], '204'])
    })

    it('ends a job and has its webhook sent, at one go', () => {
      using place = create()
      using store = place.open()
      const webhook = { url: 'https://hook.test/' }
      store.add(job('told', { webhook }), fetches(1))
      store.add(job('untold'), fetches(1))
      assert.deepEqual(store.withPendingWebhook(), [])
      for (const id of ['told', 'untold']) store.endJob(id, 'done', NOW + 1)
      assert.deepEqual(store.withPendingWebhook(), ['told'])
      assert.deepEqual(store.job('told')?.delivery, { state: 'pending', tries: 0, nextAt: NOW + 1 })
      assert.equal(store.job('untold')?.delivery.state, 'idle')
    })

    it('counts what it keeps, and lets the oldest of the largest caller go first', () => {
      using place = create()
      {
        using store = place.open()
        assert.equal(store.bytes(), 0)
        store.add(job('small', { owner: 'bob' }), fetches())
        store.add(job('a'), fetches())
        for (const n of [0, 1, 2]) {
          store.begin('a', n)
          store.end('a', n, NOW + n, { state: 'done', answer: answer('x'.repeat(10_000)) })
        }
      }
      using store = place.open()
      const before = store.bytes()
      assert.ok(before > 30_000 && before < 36_000, `${before}`)
      assert.deepEqual(store.ownersBySize(), ['alice', 'bob'])
      const freed = store.dropOldestBodies('alice')
      assert.equal(before - store.bytes(), freed)
      assert.equal(store.result('a', 0)?.body, 'removed')
      assert.deepEqual([store.result('a', 0)?.bodyBytes, store.result('a', 0)?.answer?.status], [10_000, 200])
      while (store.dropOldestBodies('alice') > 0);
      assert.equal(store.removeOldestEnded('alice'), false)
      store.endJob('a', 'done', NOW + 9)
      assert.equal(store.removeOldestEnded('alice'), true)
      store.remove('small')
      assert.equal(store.bytes(), 0)
      assert.deepEqual([store.job('a'), store.ownersBySize(), store.result('a', 0)], [undefined, [], undefined])
    })

    it('forgets what ended long ago, and orders of long ago', () => {
      using place = create()
      using store = place.open()
      store.add(job('old'), fetches(), { key: 'k', digest: 'd' })
      store.add(job('new', { createdAt: NOW + 5 }), fetches(), { key: 'l', digest: 'd' })
      store.add(job('going'), fetches())
      store.endJob('old', 'done', NOW + 1)
      store.endJob('new', 'done', NOW + 9)
      store.removeEndedBefore(NOW + 5, NOW + 5)
      assert.deepEqual(
        store.list({ limit: 9 }).items.map(({ id }) => id),
        ['going', 'new'],
      )
      assert.deepEqual([store.ordered('alice', 'k'), store.ordered('alice', 'l')?.jobId], [undefined, 'new'])
    })
  })
}
