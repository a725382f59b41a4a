import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { type ApiClient, ApiProblem, ApiUnreachable, createApiClient } from './client.ts'
import { FakeBackend } from './fake-backend.ts'
import { createApiServer } from './server.ts'

async function startClient() {
  const backend = new FakeBackend()
  const server = await createApiServer({ backend, logger: silentLogger, clock: systemClock, random: systemRandom })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  return { backend, server, client: createApiClient({ baseUrl: url }), [Symbol.asyncDispose]: () => server.close() }
}

function clientOf(status: number, body: unknown): ApiClient {
  const fetch = async () => ({ ok: status < 400, status, json: async () => body })
  return createApiClient({ baseUrl: 'http://127.0.0.1:1', fetch })
}

describe('createApiClient()', { timeout: 20_000 }, () => {
  it('has a method for every route', async () => {
    await using running = await startClient()
    const { client, backend } = running
    assert.equal((await client.fetch({ url: 'http://example.com/', worker: 2 })).worker, 'tor02')
    assert.equal((await client.health()).total, 4)
    assert.equal((await client.setMode('random')).mode, 'random')
    assert.equal((await client.mode()).mode, 'random')
    assert.equal((await client.endpoints()).endpoints.length, 1)
    assert.equal((await client.workers()).workers.length, 4)
    assert.equal((await client.worker('tor03')).n, 3)
    assert.equal((await client.stopTor(1)).desired, 'stopped')
    assert.equal((await client.startTor('tor01')).desired, 'enabled')
    assert.equal((await client.restartTor(1)).desired, 'enabled')
    assert.equal((await client.drain(4, { force: true })).desired, 'drained')
    assert.equal((await client.enable('tor04')).desired, 'enabled')
    assert.equal((await client.status()).service.version, '1.2.3')
    assert.deepEqual(backend.calls, [
      'fetch',
      'setMode random',
      'stopTor tor01',
      'startTor tor01',
      'restartTor tor01',
      'drain --force tor04',
      'enable tor04',
    ])
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
