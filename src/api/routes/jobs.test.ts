import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../../domain/errors.ts'
import type { FetchRequest } from '../../domain/exchange.ts'
import type { JobFetchView } from '../../domain/job.ts'
import { fakeAnswer } from '../fake-backend.ts'
import { createTestApp, type TestApp } from '../test-app.ts'

const URL = 'http://example.com/'

function submit({ app }: TestApp, payload: object, headers: Record<string, string> = {}) {
  return app.inject({ method: 'POST', url: '/api/v1/jobs', payload, headers })
}

function result(n: number, change: Partial<JobFetchView> = {}): JobFetchView {
  return {
    ...{ n, url: URL, method: 'GET', responseEncoding: 'auto', state: 'waiting', phase: undefined, tries: 0 },
    ...{ nextAt: 0, endedAt: undefined, answer: undefined, body: undefined, bodyBytes: 0, problem: undefined },
    ...change,
  }
}

function answered(n: number, text: string): JobFetchView {
  const { body, ...answer } = fakeAnswer({ url: URL, isolation: 'destination' } as FetchRequest, {
    body: Buffer.from(text),
  })
  return result(n, { state: 'done', tries: 1, nextAt: undefined, endedAt: 2_000, answer, body, bodyBytes: body.length })
}

describe('POST /api/v1/jobs', () => {
  it('takes a job, and says where it is', async () => {
    await using test = await createTestApp()
    const response = await submit(test, { fetches: [{ url: URL }], name: 'mine' })
    assert.equal(response.statusCode, 202)
    assert.equal(response.headers.location, '/api/v1/jobs/job_1')
    assert.deepEqual(response.json(), {
      ...{ id: 'job_1', owner: 'anybody', name: 'mine', state: 'running', created_at: '1970-01-01T00:00:00.000Z' },
      ...{ ended_at: null, deadline_at: '1970-01-02T00:00:00.000Z', fetches: 1 },
      counts: { waiting: 3, running: 3, done: 4, failed: 5, cancelled: 0 },
      progress: {
        first: { waiting: 1, running: 0 },
        descriptor: { waiting: 2, running: 0 },
        circuit: { waiting: 0, running: 0 },
        http: { waiting: 0, running: 3 },
      },
      ...{ next_try_at: '1970-01-01T00:00:30.000Z', webhook: null },
    })
    const [order] = test.backend.jobs.orders
    assert.deepEqual(order?.retry, { maxRetries: {} })
    assert.equal(order?.fetches[0]?.request.method, 'GET')
    assert.ok(!('caller' in (order?.fetches[0]?.request ?? {})))
  })

  it('passes every field on', async () => {
    await using test = await createTestApp()
    const response = await submit(test, {
      fetches: [
        { url: URL, method: 'post', body: 'x', sticky_key: 'k', worker: 2, response_encoding: 'base64' },
        { url: `${URL}b` },
      ],
      retry: { deadline_s: 60, retries: { descriptor: 3, http: 0 }, on_status: [429, 503] },
      webhook: { url: 'http://hook.example/', secret: 'sixteen letters!' },
    })
    assert.equal(response.statusCode, 202, response.body)
    const [order] = test.backend.jobs.orders
    assert.deepEqual(order?.retry, { deadlineMs: 60_000, maxRetries: { descriptor: 3, http: 0 }, statuses: [429, 503] })
    assert.deepEqual(order?.webhook, { url: 'http://hook.example/', secret: 'sixteen letters!' })
    const [first] = order?.fetches ?? []
    assert.deepEqual(
      [first?.request.method, first?.request.workerId, first?.responseEncoding],
      ['POST', 'tor02', 'base64'],
    )
    assert.deepEqual(response.json().webhook, {
      ...{ url: 'http://hook.example/', state: 'idle', tries: 0, next_try_at: null, outcome: null },
    })
    assert.doesNotMatch(response.body, /sixteen/)
  })

  it('takes a name in any language, but none that would turn or break the text around it', async () => {
    await using test = await createTestApp()
    const statusOf = async (name: string) => (await submit(test, { fetches: [{ url: URL }], name })).statusCode
    for (const name of ['jede Nacht 👩‍💻', 'נייט', 'x'.repeat(100)]) assert.equal(await statusOf(name), 202, name)
    for (const name of ['', 'x'.repeat(101), 'a\nb', 'a\u202eb', 'a\u2066b', 'a\u2028b', '\ud800']) {
      assert.equal(await statusOf(name), 400, JSON.stringify(name))
    }
  })

  it('tells all faults at once, each with its fetch', async () => {
    await using test = await createTestApp()
    const response = await submit(test, {
      fetches: [{ url: URL }, { url: 5 }, { url: URL, timeout_ms: 1 }, { url: URL, frobnicate: true }],
      retry: { on_status: [404] },
      webhook: { url: 'ftp://x/', secret: 'short' },
    })
    assert.equal(response.statusCode, 400)
    const { code, errors } = response.json()
    assert.equal(code, 'invalid_input')
    assert.deepEqual(
      errors.map(({ path, code: each }: { path: string; code: string }) => [path, each]),
      [
        ['fetches/1/url', 'url_type'],
        ['fetches/2/timeout_ms', 'timeout_range'],
        ['fetches/3/frobnicate', 'unknown_field'],
        ['retry/on_status', 'invalid_input'],
        ['webhook/url', 'url_invalid'],
        ['webhook/secret', 'invalid_input'],
      ],
    )
    const unknown = await submit(test, {
      fetches: [{ url: URL, worker: 'tor99' }, { url: URL }, { url: URL, worker: 98 }],
    })
    assert.deepEqual([unknown.statusCode, unknown.json().code], [404, 'worker_not_found'])
    assert.deepEqual(
      unknown.json().errors.map(({ path }: { path: string }) => path),
      ['fetches/0/worker', 'fetches/2/worker'],
    )
    for (const key of ['a b', '', 'x'.repeat(256), 'ö']) {
      const refused = await submit(test, { fetches: [{ url: URL }] }, { 'idempotency-key': key })
      assert.deepEqual([refused.statusCode, refused.json().errors[0].path], [400, 'idempotency-key'], key)
    }
    assert.deepEqual(test.backend.jobs.orders, [])
  })

  it('takes 1 to 1,000 fetches', async () => {
    await using test = await createTestApp()
    for (const [count, status] of [
      [0, 400],
      [1_000, 202],
      [1_001, 400],
    ] as const) {
      const response = await submit(test, { fetches: Array.from({ length: count }, () => ({ url: URL })) })
      assert.equal(response.statusCode, status)
    }
    for (const payload of [{}, { fetches: { url: URL } }, { fetches: 'x' }, [{ url: URL }], { url: URL }])
      assert.equal((await submit(test, payload)).statusCode, 400, JSON.stringify(payload))
  })

  it('takes a body of 4 MiB, which other routes do not', async () => {
    await using test = await createTestApp()
    const fetches = Array.from({ length: 900 }, () => ({ url: `${URL}${'x'.repeat(4_000)}` }))
    assert.equal((await submit(test, { fetches })).statusCode, 202)
    const large = await submit(test, { fetches: [...fetches, ...fetches] })
    assert.deepEqual([large.statusCode, large.json().code], [413, 'payload_too_large'])
    const other = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', payload: { fetches } })
    assert.equal(other.statusCode, 413)
  })

  it('knows an order again by its Idempotency-Key', async () => {
    await using test = await createTestApp()
    const headers = { 'idempotency-key': 'k' }
    const first = await submit(test, { fetches: [{ url: URL }] }, headers)
    const again = await submit(test, { fetches: [{ method: 'GET', url: URL }] }, headers)
    assert.deepEqual([first.statusCode, again.statusCode, again.json().id], [202, 200, first.json().id])
    assert.equal(again.headers.location, first.headers.location)
    const digests = async (payload: object) => {
      await submit(test, payload, { 'idempotency-key': `${test.backend.jobs.orders.length}` })
      return test.backend.jobs.orders.at(-1)?.idempotency?.digest
    }
    const digest = test.backend.jobs.orders[0]?.idempotency?.digest
    assert.equal(await digests({ fetches: [{ method: 'get', url: URL }] }), digest)
    assert.notEqual(await digests({ fetches: [{ method: 'HEAD', url: URL }] }), digest)
    test.backend.jobs.refusal = new CbtorError('idempotency_key_reused', 'Cannot take the job')
    assert.equal((await submit(test, { fetches: [{ url: URL }] }, headers)).statusCode, 422)
  })

  it('says when there are too many', async () => {
    await using test = await createTestApp()
    test.backend.jobs.refusal = new CbtorError('too_many_jobs', 'Cannot take the job', { retryAfterMs: 60_000 })
    const response = await submit(test, { fetches: [{ url: URL }] })
    assert.deepEqual([response.statusCode, response.headers['retry-after']], [429, '60'])
  })
})

describe('the routes about jobs', () => {
  it('list jobs page by page, of others for admins only', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const headers = test.keys.with('fetch')
    for (let n = 0; n < 3; n++) await submit(test, { fetches: [{ url: URL }] }, headers)
    const list = async (query = '') => (await test.app.inject({ url: `/api/v1/jobs${query}`, headers })).json()
    const first = await list('?limit=2')
    assert.deepEqual(
      first.jobs.map(({ id }: { id: string }) => id),
      ['job_3', 'job_2'],
    )
    const second = await list(`?limit=2&cursor=${first.next_cursor}`)
    assert.deepEqual([second.jobs[0].id, second.next_cursor], ['job_1', null])
    for (const query of ['?limit=0', '?limit=101', '?cursor=x', '?nonsense=1'])
      assert.equal((await list(query)).status, 400, query)
    const { owner } = test.backend.jobs.jobs[0] ?? {}
    const others = await test.app.inject({ url: `/api/v1/jobs?owner=${owner}`, headers: test.keys.with('admin') })
    assert.equal(others.json().jobs.length, 3)
  })

  it('show results in order, with small bodies, and single ones whole', async () => {
    await using test = await createTestApp()
    await submit(test, { fetches: [{ url: URL }] })
    const text = JSON.stringify({ text: 'x'.repeat(64 * 1024) })
    const problem = {
      ...{ code: 'onion_not_found' as const, message: 'Cannot connect', redirects: [] },
      attempts: [{ worker: 'tor01', outcome: 'onion_not_found' as const, ms: 1.234 }],
    }
    test.backend.jobs.fetches.push(
      answered(0, '{}'),
      answered(1, text),
      result(2, { phase: 'descriptor', tries: 2, problem }),
      { ...answered(3, '{}'), body: 'removed' },
    )
    const page = (await test.app.inject({ url: '/api/v1/jobs/job_1/results?limit=3' })).json()
    assert.equal(page.next_cursor, '3')
    const [small, large, waiting] = page.results
    assert.deepEqual([small.answer.body, small.body_is, small.answer.status], ['{}', 'here', 200])
    assert.ok(small.answer.receipt.attempts.length > 0)
    assert.deepEqual(
      [large.answer.body, large.answer.body_encoding, large.body_is, large.body_bytes],
      [...[null, null, 'elsewhere', text.length]],
    )
    assert.deepEqual(
      [waiting.answer, waiting.body_is, waiting.phase, waiting.tries, waiting.next_try_at],
      [...[null, null, 'descriptor', 2, '1970-01-01T00:00:00.000Z']],
    )
    assert.deepEqual(
      [waiting.problem.code, waiting.problem.fault, waiting.problem.attempts[0].ms],
      ['onion_not_found', 'onion', 1.23],
    )
    assert.ok(!('request_id' in waiting.problem))
    const rest = (await test.app.inject({ url: '/api/v1/jobs/job_1/results?cursor=3' })).json()
    assert.deepEqual([rest.results[0].body_is, rest.results[0].answer.body, rest.next_cursor], ['removed', null, null])
    const one = (await test.app.inject({ url: '/api/v1/jobs/job_1/results/1' })).json()
    assert.deepEqual([one.answer.body, one.body_is], [text, 'here'])
    assert.equal((await test.app.inject({ url: '/api/v1/jobs/job_1/results/4' })).json().code, 'not_found')
    assert.equal((await test.app.inject({ url: '/api/v1/jobs/job_1/results/x' })).json().code, 'invalid_input')
    assert.equal((await test.app.inject({ url: '/api/v1/jobs/job_9/results' })).json().code, 'job_not_found')
  })

  it('cancel a job, and remove it once it has ended', async () => {
    await using test = await createTestApp()
    await submit(test, { fetches: [{ url: URL }] })
    const url = '/api/v1/jobs/job_1'
    assert.equal((await test.app.inject({ method: 'DELETE', url })).json().code, 'conflict')
    assert.equal((await test.app.inject({ method: 'POST', url: `${url}/cancel` })).json().state, 'cancelled')
    assert.equal((await test.app.inject({ method: 'DELETE', url })).json().id, 'job_1')
    assert.equal((await test.app.inject({ url })).json().code, 'job_not_found')
    assert.equal((await test.app.inject({ method: 'DELETE', url })).statusCode, 404)
  })

  it('log no target', async () => {
    await using test = await createTestApp()
    await submit(test, { fetches: [{ url: 'http://secret.example/' }], name: 'secret' })
    assert.doesNotMatch(JSON.stringify(test.logger.lines), /secret/)
  })
})
