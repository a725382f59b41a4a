import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { fakeStream } from '../api/fake-backend.ts'
import { startServer } from '../api/test-server.ts'
import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'
import { ApiProblem, ApiUnreachable, createApiClient } from './portable.ts'

describe('createApiClient() by the fetch of the platform', { timeout: 20_000 }, () => {
  it('fetches, streams and is told problems as over sockets of its own', async () => {
    await using running = await startServer()
    const { backend, url } = running
    const client = createApiClient({ baseUrl: url })
    assert.equal((await client.fetch({ url: 'http://a.test/' })).worker, 'tor01')

    const headers = [['content-encoding', 'gzip']] as const
    backend.streamed = async (request) => fakeStream(request, [gzipSync('the body')], { status: 503, headers })
    const { status, body } = await client.fetchRaw({ url: 'http://a.test/' })
    assert.deepEqual([status, await text(body)], [503, 'the body'])

    const broken = new Readable({ read() {} })
    backend.streamed = async (request) => fakeStream(request, broken)
    const answer = await client.fetchRaw({ url: 'http://a.test/' })
    broken.destroy(new Error('lost'))
    await assert.rejects(text(answer.body))

    backend.streamed = async () => {
      throw new CbtorError('overloaded', 'Cannot fetch: all are busy', { retryAfterMs: 2_000 })
    }
    await assert.rejects(
      client.fetchRaw({ url: 'http://a.test/' }),
      (error) => error instanceof ApiProblem && error.code === 'overloaded' && error.retryAfterMs === 2_000,
    )
  })

  it('watches events until it has enough of them', async () => {
    await using running = await startServer()
    const { backend, url } = running
    backend.happen({ type: 'session_rotated', worker: 'tor01' })
    for await (const each of createApiClient({ baseUrl: url }).watchEvents({ since_id: 0 })) {
      assert.ok(each.type === 'event' && each.event.id === 1)
      break
    }
  })

  it('ends a raw answer that nobody wants any more', async () => {
    await using running = await startServer()
    const { backend, url } = running
    const endless = new Readable({ read() {} })
    const gone = new Promise((resolve) => endless.once('close', resolve))
    backend.streamed = async (request, signal) => {
      onAbort(signal, () => endless.destroy())
      endless.push('x')
      return fakeStream(request, endless)
    }
    const { body } = await createApiClient({ baseUrl: url }).fetchRaw({ url: 'http://a.test/' })
    await body.destroy()
    await gone
  })

  it('tells that nothing is at the address, and why it was ended', async () => {
    const client = createApiClient({ baseUrl: 'http://127.0.0.1:1' })
    await assert.rejects(client.health(), ApiUnreachable)
    await assert.rejects(client.health(AbortSignal.abort(new Error('enough'))), /enough/)
  })
})
