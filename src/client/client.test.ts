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
import { type ApiClient, ApiProblem, ApiUnreachable, createApiClient } from './client.ts'

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
  return { backend, server, client: createApiClient({ baseUrl: url }), [Symbol.asyncDispose]: () => server.close() }
}

function clientOf(status: number, body: unknown): ApiClient {
  const fetch = async () => ({ ok: status < 400, status, body: null, json: async () => body, text: async () => '' })
  return createApiClient({ baseUrl: 'http://127.0.0.1:1', fetch })
}

describe('createApiClient()', { timeout: 20_000 }, () => {
  it('has a method for every route', async () => {
    await using running = await startClient()
    const { client, backend } = running
    assert.equal((await client.fetch({ url: 'http://example.com/', worker: 2 })).worker, 'tor02')
    const raw = await client.fetchRaw({ url: 'http://example.com/' })
    assert.deepEqual([raw.status, raw.headers['cbtor-worker'], await text(raw.body)], [200, 'tor01', '{"IsTor":true}'])
    assert.equal(raw.trailers['cbtor-truncated'], 'false')
    assert.equal((await client.health()).total, 4)
    assert.equal((await client.setMode('random')).mode, 'random')
    assert.equal((await client.mode()).mode, 'random')
    assert.equal((await client.endpoints()).endpoints.length, 1)
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
    const fetch = async (url: string, { headers }: { headers: Record<string, string> }) => {
      seen.push([url.includes('cbt_'), headers.authorization])
      return { ok: true, status: 200, body: null, json: async () => ({}), text: async () => '' }
    }
    const baseUrl = 'http://127.0.0.1:1'
    const client = createApiClient({ baseUrl, fetch, key: 'cbt_a_b' })
    await client.health()
    await client.fetch({ url: 'http://example.com/' })
    await createApiClient({ baseUrl, fetch }).health()
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
  })
})
