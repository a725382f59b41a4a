import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { FakeBackend, fakeStream } from '../api/fake-backend.ts'
import { FakeKeys } from '../api/fake-keys.ts'
import { createApiServer } from '../api/server.ts'
import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import {
  type ApiClient,
  ApiProblem,
  ApiUnreachable,
  createApiClient,
  type Operations,
  type Transport,
  type TransportAnswer,
} from './client.ts'
import { OPERATIONS } from './openapi.ts'

async function startClient() {
  const backend = new FakeBackend()
  const server = await createApiServer({
    backend,
    keys: new FakeKeys(),
    auth: 'off',
    logger: silentLogger,
    clock: systemClock,
    random: systemRandom,
  })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    backend,
    server,
    url,
    client: createApiClient({ baseUrl: url }),
    [Symbol.asyncDispose]: () => server.close(),
  }
}

function answerOf(status: number, body: unknown, headers: TransportAnswer['headers'] = {}): TransportAnswer {
  return { status, headers, body: Readable.from([Buffer.from(JSON.stringify(body))]), trailers: {} }
}

function clientOf(...answer: Parameters<typeof answerOf>): ApiClient {
  return createApiClient({ baseUrl: 'http://127.0.0.1:1', transport: async () => answerOf(...answer) })
}

/** The method for each operation: without one of them this does not compile. */
const METHOD_OF: Readonly<Record<keyof Operations, keyof ApiClient>> = {
  fetch: 'fetch',
  fetchRaw: 'fetchRaw',
  fetchRawByPost: 'fetchRaw',
  submitJob: 'submitJob',
  listJobs: 'jobs',
  getJob: 'job',
  removeJob: 'removeJob',
  listJobResults: 'jobResults',
  getJobResult: 'jobResult',
  cancelJob: 'cancelJob',
  getHealth: 'health',
  getLiveness: 'liveness',
  getMode: 'mode',
  setMode: 'setMode',
  reloadConfig: 'reloadConfig',
  getEndpoints: 'endpoints',
  getReplicas: 'replicas',
  listWorkers: 'workers',
  getWorker: 'worker',
  startTor: 'startTor',
  stopTor: 'stopTor',
  restartTor: 'restartTor',
  rebootBox: 'rebootBox',
  getStatus: 'status',
  newCircuits: 'newCircuits',
  drainWorker: 'drain',
  enableWorker: 'enable',
  listSessions: 'sessions',
  getSession: 'session',
  endSession: 'endSession',
  rotateSession: 'rotateSession',
  listEvents: 'events',
  streamEvents: 'watchEvents',
  getLive: 'live',
  streamLive: 'watchLive',
  listRequests: 'requests',
  whoAmI: 'whoami',
  getMetrics: 'metrics',
  getProblemType: 'problemType',
  listKeys: 'keys',
  createKey: 'createKey',
  revokeKey: 'revokeKey',
}
/** The same with a body, which may say more. */
const INSTEAD_OF: Readonly<Partial<Record<keyof Operations, string>>> = { fetchRaw: OPERATIONS.fetchRawByPost }

describe('createApiClient()', { timeout: 20_000 }, () => {
  it('calls, for every operation of the document, that operation', async () => {
    for (const [id, name] of Object.entries(METHOD_OF) as [keyof Operations, keyof ApiClient][]) {
      const called: string[] = []
      const client = createApiClient({
        baseUrl: 'http://127.0.0.1:1',
        transport: async ({ method, path }) => {
          called.push(`${method} ${path.split('?', 1)[0]}`)
          return answerOf(200, {}, { 'cbtor-delivered': '1' })
        },
      })
      const outcome = (client[name] as (...args: unknown[]) => unknown)('a', {}, undefined)
      if (outcome instanceof Promise) await outcome
      else await (outcome as AsyncGenerator).next()
      const expected = INSTEAD_OF[id] ?? OPERATIONS[id]
      const pattern = new RegExp(`^${expected.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`)
      assert.equal(called.length, 1, id)
      assert.match(called[0] ?? '', pattern, id)
    }
  })

  it('does what the service does', async () => {
    await using running = await startClient()
    const { client, backend } = running
    assert.deepEqual(await client.liveness(), { status: 'ok' })
    assert.equal((await client.problemType('no_worker')).retryable, true)
    assert.equal((await client.fetch({ url: 'http://example.com/', worker: 2 })).worker, 'tor02')
    const raw = await client.fetchRaw({ url: 'http://example.com/' })
    assert.deepEqual([raw.status, raw.headers['cbtor-worker'], await text(raw.body)], [200, 'tor01', '{"IsTor":true}'])
    assert.equal(raw.trailers['cbtor-truncated'], 'false')
    assert.equal((await client.health()).total, 4)
    assert.equal((await client.setMode('random')).mode, 'random')
    assert.equal((await client.mode()).mode, 'random')
    assert.deepEqual((await client.reloadConfig()).workers.added, ['tor05'])
    assert.equal((await client.endpoints()).endpoints.length, 1)
    assert.equal((await client.replicas()).store.pending, 3)
    assert.equal((await client.workers()).workers.length, 4)
    assert.equal((await client.worker('tor03')).n, 3)
    assert.equal((await client.stopTor(1)).desired, 'stopped')
    assert.equal((await client.startTor('tor01')).desired, 'enabled')
    assert.equal((await client.restartTor(1)).desired, 'enabled')
    await client.rebootBox(1)
    assert.equal((await client.drain(4, { force: true })).desired, 'drained')
    assert.equal((await client.enable('tor04')).desired, 'enabled')
    assert.equal((await client.status()).service.version, '1.2.3')
    assert.ok('exit_changed' in (await client.newCircuits(2)))
    assert.ok('acts_at' in (await client.newCircuits(2, { wait_ms: 0 })))
    assert.equal((await client.sessions()).sessions.length, 1)
    assert.equal((await client.session('my-session-123')).requests, 2)
    backend.beginSession({ owner: 'anybody', key: 'a/b' })
    assert.equal((await client.rotateSession('a/b')).exit, null)
    assert.equal((await client.endSession('a/b')).key, 'a/b')
    backend.happen({ type: 'session_rotated', worker: 'tor01' })
    assert.equal(
      (await client.events({ type: ['session_rotated', 'mode_changed'], worker: 1, limit: 5 })).events.length,
      1,
    )
    assert.equal((await client.live()).workers.length, 4)
    const live = client.watchLive()
    assert.equal((await live.next()).value?.type, 'live')
    await live.return()
    assert.deepEqual(await client.requests({ targets: true }), { requests: [], total: 0 })
    assert.equal((await client.whoami()).id, 'anybody')
    const made = await client.createKey({ name: 'a crawler', scopes: ['fetch'] })
    assert.deepEqual(
      (await client.keys()).keys.map(({ id }) => id),
      [made.id],
    )
    assert.equal((await client.revokeKey(made.id)).name, 'a crawler')
    assert.equal(await client.metrics(), 'cbtor_requests_total 1\n')
    assert.deepEqual(backend.calls, [
      'fetch',
      'stream',
      'setMode random',
      'reloadConfig',
      'stopTor tor01',
      'startTor tor01',
      'restartTor tor01',
      'rebootHost tor01',
      'drain --force tor04',
      'enable tor04',
      'newCircuits tor02',
      'newCircuits tor02',
      'rotateSession a/b',
      'endSession a/b',
    ])
  })

  it('shows the key that it was given, with every request and no other way', async () => {
    const seen: unknown[] = []
    const transport: Transport = async ({ path, headers }) => {
      seen.push([path.includes('cbt_'), headers.authorization])
      return answerOf(200, {})
    }
    const baseUrl = 'http://127.0.0.1:1'
    const client = createApiClient({ baseUrl, transport, key: 'cbt_a_b' })
    await client.health()
    await client.fetch({ url: 'http://example.com/' })
    await createApiClient({ baseUrl, transport }).health()
    const shown = [false, 'Bearer cbt_a_b']
    assert.deepEqual(seen, [shown, shown, [false, undefined]])
  })

  it('watches events as they happen, says what is lost, and ends with the service', async () => {
    await using running = await startClient()
    const { backend, client, server } = running
    for (let count = 0; count < 7; count++) backend.happen({ type: 'session_rotated', worker: 'tor01' })
    const events = client.watchEvents({ since_id: 1, severity: ['info'] })
    assert.deepEqual((await events.next()).value, { type: 'lost', lost: { since_id: 1, oldest_id: 3 } })
    for (let id = 3; id <= 7; id++) {
      const { value } = await events.next()
      assert.ok(value?.type === 'event' && value.event.id === id)
    }
    const next = events.next()
    backend.happen({ type: 'reboot_ordered', worker: 'tor01' })
    backend.happen({ type: 'mode_changed', from: 'random', to: 'sticky' })
    const { value } = await next
    assert.ok(value?.type === 'event' && value.event.type === 'mode_changed')
    await Promise.all([server.close(), events.next().then(({ done }) => assert.equal(done, true))])
  })

  it('watches all that a page shows: the whole, each event, and what has changed', async () => {
    await using running = await startClient()
    const looks = running.client.watchLive()
    const first = (await looks.next()).value
    assert.ok(first?.type === 'live' && first.live.workers.length === 4)
    running.backend.happen({ type: 'session_rotated', worker: 'tor01' })
    const event = (await looks.next()).value
    assert.ok(event?.type === 'event' && event.event.type === 'session_rotated')
    const change = (await looks.next()).value
    assert.ok(change?.type === 'change' && change.change.workers.length === 0)
    await looks.return()
  })

  it('stops watching events when it is told to', async () => {
    await using running = await startClient()
    const controller = new AbortController()
    const events = running.client.watchEvents({ since_id: 99 }, controller.signal)
    assert.equal((await events.next()).value?.type, 'lost')
    const next = events.next()
    controller.abort(new Error('enough'))
    await assert.rejects(next, /enough/)
  })

  it('rejects a query that the service does not take', async () => {
    await using running = await startClient()
    await assert.rejects(
      running.client.watchEvents({ worker: 'tor99' }).next(),
      (error) => error instanceof ApiProblem && error.problem.code === 'worker_not_found',
    )
  })

  it('hands out a raw answer byte for byte as it comes, and tells a problem and a body that is not whole from it', async () => {
    await using running = await startClient()
    const { client, backend } = running
    const coded = gzipSync('the body')
    const headers = [['content-encoding', 'gzip']] as const
    backend.streamed = async (request) => fakeStream(request, [coded], { status: 503, headers })
    const { status, body } = await client.fetchRaw({ url: 'http://a.test/' })
    assert.deepEqual([status, await buffer(body)], [503, coded])

    const broken = new Readable({ read() {} })
    backend.streamed = async (request) => fakeStream(request, broken)
    const answer = await client.fetchRaw({ url: 'http://a.test/' })
    broken.destroy(new Error('lost'))
    await assert.rejects(buffer(answer.body))

    backend.streamed = async () => {
      throw new CbtorError('no_worker', 'Cannot fetch: every worker is dead')
    }
    await assert.rejects(
      client.fetchRaw({ url: 'http://a.test/' }),
      (error) => error instanceof ApiProblem && error.problem.code === 'no_worker',
    )
    await assert.rejects(
      createApiClient({ baseUrl: 'http://127.0.0.1:1' }).fetchRaw({ url: 'http://a.test/' }),
      ApiUnreachable,
    )
  })

  it('rejects with the problem that the service answers', async () => {
    await using running = await startClient()
    running.backend.answer = async () => {
      throw new CbtorError('no_worker', 'Cannot fetch: every worker is dead')
    }
    await assert.rejects(running.client.fetch({ url: 'http://example.com/' }), (error) => {
      assert.ok(error instanceof ApiProblem)
      assert.equal(error.message, 'Cannot fetch: every worker is dead')
      assert.equal(error.problem.code, 'no_worker')
      return true
    })
    await assert.rejects(
      running.client.worker('../../healthz'),
      (error) => error instanceof ApiProblem && error.problem.code === 'worker_not_found',
    )
  })

  it('says whether to try again, and when', async () => {
    const problem = { code: 'rate_limited', detail: 'Cannot take the request', retryable: true }
    await assert.rejects(clientOf(429, problem, { 'retry-after': '3' }).health(), (error) => {
      assert.ok(error instanceof ApiProblem)
      assert.deepEqual([error.code, error.retryable, error.retryAfterMs], ['rate_limited', true, 3_000])
      return true
    })
    const { code, retryAfterMs } = await problemOf(clientOf(503, problem).health())
    assert.deepEqual([code, retryAfterMs], ['rate_limited', undefined])
  })

  it('goes through lists page by page', async () => {
    const asked: string[] = []
    const client = createApiClient({
      baseUrl: 'http://127.0.0.1:1',
      transport: async ({ path }) => {
        asked.push(path)
        const isLast = path.includes('cursor=b')
        return answerOf(200, { jobs: isLast ? [3] : [1, 2], results: [], next_cursor: isLast ? null : 'b' })
      },
    })
    assert.deepEqual(await allOf(client.allJobs({ limit: 2 })), [1, 2, 3])
    assert.deepEqual(await allOf(client.allJobResults('j1')), [])
    assert.deepEqual(asked, [
      '/api/v1/jobs?limit=2',
      '/api/v1/jobs?limit=2&cursor=b',
      '/api/v1/jobs/j1/results',
      '/api/v1/jobs/j1/results?cursor=b',
    ])
  })

  it('rejects with the reason of its signal, and the service learns of it', async () => {
    await using running = await startClient()
    const controller = new AbortController()
    const aborted = Promise.withResolvers<unknown>()
    running.backend.answer = (_request, signal) => {
      onAbort(signal, aborted.resolve)
      controller.abort(new Error('enough'))
      return new Promise((_resolve, reject) => onAbort(signal, reject))
    }
    await assert.rejects(running.client.fetch({ url: 'http://example.com/' }, controller.signal), /enough/)
    await aborted.promise
  })

  it('tells that nothing, or something else, is at the address', async () => {
    await using running = await startClient()
    await running.server.close()
    await assert.rejects(running.client.health(), (error) => {
      assert.ok(error instanceof ApiUnreachable)
      assert.match(error.message, /^Cannot call GET \/api\/v1\/health: the service cannot be reached: http:\/\/127/)
      return true
    })
    await assert.rejects(clientOf(502, { error: 'Bad gateway' }).health(), /something else answered, with status 502/)
    await assert.rejects(clientOf(404, null).health(), ApiUnreachable)
    const page = { status: 302, headers: {}, trailers: {}, body: Readable.from([Buffer.from('<html>')]) }
    const proxy = createApiClient({ baseUrl: 'http://127.0.0.1:1', transport: async () => page })
    await assert.rejects(proxy.health(), /something else answered, with status 302/)
  })

  it('takes an address as a browser shows it, and says what would be one', async () => {
    await using running = await startClient()
    assert.equal((await createApiClient({ baseUrl: `${running.url}/` }).health()).status, 'healthy')
    for (const baseUrl of [
      'localhost:32211',
      '127.0.0.1',
      'ftp://a',
      'http://',
      'http://a/?x',
      'http://a/#key=b',
      'http://a:b@a/',
      'unix:a',
      '',
    ])
      assert.throws(
        () => createApiClient({ baseUrl }),
        /^TypeError: Cannot call the service at "[^b]*": expected an address/,
      )
  })
})

async function problemOf(promise: Promise<unknown>): Promise<ApiProblem> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ApiProblem) return error
  }
  throw new Error('There was no problem')
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
