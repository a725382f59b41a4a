import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ApiFailure, createApi } from './client.ts'

const PROBLEM = { code: 'conflict', status: 409, detail: 'Cannot drain tor01: no other worker receives traffic' }

/** An API whose service answers so, with what it was asked. */
function answering(answer: () => Response | Promise<Response>, key?: string) {
  const asked: (RequestInit & { path: string })[] = []
  const refused: ApiFailure[] = []
  const api = createApi(
    () => key,
    (failure) => refused.push(failure),
    async (path, init) => {
      asked.push({ path: String(path), ...init })
      return await answer()
    },
  )
  return { api, asked, refused }
}

function inPieces(texts: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const text of texts) controller.enqueue(new TextEncoder().encode(text))
      controller.close()
    },
  })
}

async function failureOf(work: Promise<unknown>): Promise<ApiFailure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ApiFailure)
  return error
}

describe('createApi()', () => {
  it('sends the key as a header and nothing that a browser would keep or add', async () => {
    const { api, asked } = answering(() => Response.json({ id: 'k' }), 'cbt_k_secret')
    assert.deepEqual(await api.get('/api/v1/whoami'), { id: 'k' })
    await api.post('/api/v1/mode', { mode: 'sticky' })
    await api.remove('/api/v1/sessions/a')
    const accept = 'application/json, text/event-stream'
    const authorization = 'Bearer cbt_k_secret'
    assert.deepEqual(asked[0]?.headers, { accept, authorization })
    assert.deepEqual(asked[1]?.headers, { accept, authorization, 'content-type': 'application/json' })
    assert.equal(asked[1]?.body, '{"mode":"sticky"}')
    for (const each of asked)
      assert.deepEqual([each.credentials, each.cache, each.redirect], ['omit', 'no-store', 'error'])
    assert.deepEqual(
      asked.map(({ method }) => method),
      ['GET', 'POST', 'DELETE'],
    )
  })

  it('fails with the sentence of the service, and with what it was', async () => {
    const { api, refused } = answering(() => Response.json(PROBLEM, { status: 409 }))
    const failure = await failureOf(api.post('/api/v1/workers/drain', {}))
    assert.deepEqual([failure.message, failure.problem?.code], [`${PROBLEM.detail}.`, 'conflict'])
    assert.deepEqual(refused, [])
  })

  it('says so when something else answers, nothing does, or what comes is broken off', async () => {
    const other = answering(() => new Response('<html>', { status: 502 }))
    assert.match((await failureOf(other.api.get('/x'))).message, /other than CBTOR answered, with status 502/)
    const none = answering(() => Promise.reject(new TypeError('Failed to fetch')))
    assert.match((await failureOf(none.api.get('/x'))).message, /^The service did not answer\. /)
    const half = answering(() => new Response('{"a":'))
    assert.match((await failureOf(half.api.get('/x'))).message, /broken off/)
  })

  it('tells of a key that is refused, whoever asked', async () => {
    const { api, refused } = answering(() => Response.json({ ...PROBLEM, status: 401 }, { status: 401 }), 'cbt_k_old')
    const failure = await failureOf(api.get('/x'))
    assert.deepEqual([refused, failure.isAboutKey], [[failure], true])
  })

  it('tells nothing of a key that another has taken the place of meanwhile', async () => {
    let key = 'cbt_k_old'
    const refused: ApiFailure[] = []
    const api = createApi(
      () => key,
      (failure) => refused.push(failure),
      async () => {
        key = 'cbt_k_new'
        return Response.json({ ...PROBLEM, status: 401 }, { status: 401 })
      },
    )
    await failureOf(api.post('/x'))
    assert.deepEqual(refused, [])
  })

  it('ends with the reason of the signal, which is no failure', async () => {
    const { api } = answering(() => Promise.reject(new TypeError('aborted')))
    await assert.rejects(api.get('/x', AbortSignal.abort(new Error('gone'))), /^Error: gone$/)
  })

  it('reads a stream of events, also where it comes in pieces', async () => {
    const pieces = ['event: live\ndata: {"a":', '1}\n\n: still there\n\nid: 4\nevent: event\ndata: {"id":4}\n\n']
    const { api } = answering(() => new Response(inPieces(pieces)))
    const messages: object[] = []
    for await (const each of api.stream('/api/v1/live/stream', new AbortController().signal)) messages.push(each)
    assert.deepEqual(messages, [
      { event: 'live', data: '{"a":1}' },
      { event: 'event', data: '{"id":4}' },
    ])
  })
})
