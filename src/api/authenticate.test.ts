import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { KeyOrder } from '../domain/key.ts'
import { createTestApp } from './test-app.ts'
import { post, read, startServer } from './test-server.ts'

const READER: KeyOrder = { name: 'a reader', scopes: ['workers:read'] }

describe('the key of a request', () => {
  it('is a bearer token, however the word is written', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const { text } = test.keys.create(READER)
    for (const authorization of [`Bearer ${text}`, `bearer ${text}`, `BEARER   ${text}`]) {
      const { statusCode } = await test.app.inject({ url: '/api/v1/health', headers: { authorization } })
      assert.equal(statusCode, 200, authorization)
    }
  })

  it('is refused by the same words and after the same look, whatever is wrong with it', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const { text, key } = test.keys.create(READER)
    const wrong = [
      '',
      'Bearer',
      'Bearer ',
      text,
      `Basic ${Buffer.from(`cbtor:${text}`).toString('base64')}`,
      `Bearer ${text}a`,
      `Bearer ${text} ${text}`,
      `Bearer cbt_${key.id}_wrong`,
      'Bearer cbt_nobody_secret',
      'Bearer cbt_',
      `Bearer ${'x'.repeat(8_000)}`,
    ]
    const answers = new Set<string>()
    for (const authorization of wrong) {
      const response = await test.app.inject({ url: '/api/v1/health', headers: { authorization } })
      assert.equal(response.statusCode, 401, authorization)
      assert.equal(response.headers['www-authenticate'], 'Bearer realm="cbtor"')
      const { request_id, ...body } = response.json()
      answers.add(JSON.stringify(body))
    }
    assert.equal(answers.size, 1)
    assert.match([...answers].join(), /"code":"auth_invalid"/)
    assert.equal(test.keys.shown.length, wrong.length)
  })

  it('is refused in the URL, be it right or not, and appears nowhere', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const { text } = test.keys.create(READER)
    const headers = { authorization: `Bearer ${text}` }
    for (const query of ['api_key', 'apikey', 'key', 'token', 'access_token', 'API_KEY', '%6bey', 'limit=5&x'].map(
      (name) => `${name}=${text}`,
    )) {
      for (const path of ['/api/v1/events', '/healthz', '/nowhere']) {
        for (const more of [{}, headers]) {
          const response = await test.app.inject({ url: `${path}?${query}`, headers: more })
          assert.deepEqual([response.statusCode, response.json().code], [401, 'auth_in_query_refused'], query)
          assert.doesNotMatch(response.body, /secret/)
        }
      }
    }
    assert.equal((await test.app.inject({ url: '/api/v1/events?token=', headers })).statusCode, 401)
    assert.equal((await test.app.inject({ url: '/api/v1/events?limit=5', headers })).statusCode, 200)
    assert.doesNotMatch(JSON.stringify(test.logger.lines), /secret/)
    assert.deepEqual(test.keys.shown, [text])
  })

  it('comes after the rules of who may speak to us at all, and before anything else is read', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const post = (headers: Record<string, string>) =>
      test.app.inject({ method: 'POST', url: '/api/v1/fetch', headers, payload: '{' })
    const rebound = await post({ host: 'evil.test' })
    assert.deepEqual([rebound.statusCode, rebound.json().code], [421, 'host_not_allowed'])
    const keyless = await post({ 'content-type': 'text/plain' })
    assert.deepEqual([keyless.statusCode, keyless.json().code], [401, 'auth_required'])
    assert.equal((await test.app.inject({ url: '/api/v1/nowhere' })).statusCode, 404)
    assert.equal((await test.app.inject({ method: 'PUT', url: '/api/v1/fetch' })).statusCode, 405)
  })

  it('goes on to what is asked for: the caller', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const limits = { rate: 3 }
    const { key, text } = test.keys.create({ name: 'x', scopes: ['fetch'], limits })
    const headers = { authorization: `Bearer ${text}` }
    const payload = { url: 'http://example.com/' }
    const response = await test.app.inject({ method: 'POST', url: '/api/v1/fetch', headers, payload })
    assert.equal(response.statusCode, 200)
    const { caller } = test.backend.requests[0] ?? {}
    assert.deepEqual([caller?.id, caller?.limits], [key.id, limits])
  })

  it('is not asked for where the configuration says so, and then a wrong one does no harm', async () => {
    await using test = await createTestApp({ auth: 'off' })
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      assert.equal((await test.app.inject({ url: '/api/v1/keys', headers })).statusCode, 200)
    }
  })
})

describe('a revoked key', { timeout: 20_000 }, () => {
  it('ends the fetches that are under way with it, and lets go of those that are done', async () => {
    await using test = await createTestApp({ auth: 'on' })
    const { key, text } = test.keys.create({ name: 'x', scopes: ['fetch'] })
    const fetching = {
      method: 'POST' as const,
      url: '/api/v1/fetch',
      headers: { authorization: `Bearer ${text}` },
      payload: { url: 'http://example.com/' },
    }
    assert.equal((await test.app.inject(fetching)).statusCode, 200)
    assert.equal(test.keys.listeners, 0)
    const begun = Promise.withResolvers<void>()
    test.backend.answer = (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        begun.resolve()
      })
    const answer = test.app.inject(fetching)
    await begun.promise
    test.keys.revoke(key.id)
    assert.deepEqual([(await answer).statusCode, (await answer).json().code], [401, 'auth_invalid'])
    assert.equal(test.keys.listeners, 0)
  })

  it('does nothing with a request whose body comes after it was revoked', async () => {
    await using running = await startServer({ auth: 'on' })
    const orders: [path: string, body: object][] = [
      ['/api/v1/keys', { name: 'a back door', scopes: ['admin'] }],
      ['/api/v1/jobs', { fetches: [{ url: 'http://example.com/' }] }],
      ['/api/v1/mode', { mode: 'random' }],
      ['/api/v1/workers/drain', { worker: 'tor01' }],
      ['/api/v1/fetch', { url: 'http://example.com/' }],
    ]
    const before = running.backend.mode()
    for (const [path, body] of orders) {
      const { key, text } = running.keys.create({ name: 'x', scopes: ['admin'] })
      const socket = await running.dial()
      const request = post(running.port, path, body).replace('\r\n', `\r\nAuthorization: Bearer ${text}\r\n`)
      socket.write(request.slice(0, -1))
      while (!running.keys.shown.includes(text)) await new Promise((resolve) => setImmediate(resolve))
      running.keys.revoke(key.id)
      socket.write(request.slice(-1))
      assert.match(await read(socket, /\}$/), /^HTTP\/1\.1 401 .*"code":"auth_invalid"/s, path)
    }
    assert.deepEqual([running.keys.list(), running.backend.mode(), running.backend.requests], [[], before, []])
  })

  it('has a share of the streams of events, so that others get through', async () => {
    await using running = await startServer({ auth: 'on' })
    const get = `GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\n`
    const open = async (text: string) => {
      const socket = await running.dial()
      socket.write(`${get}Authorization: Bearer ${text}\r\n\r\n`)
      return { socket, answer: await read(socket, /\n\n|\}$/) }
    }
    const [one, other] = [running.keys.create(READER).text, running.keys.create(READER).text]
    const streams = await Promise.all(Array.from({ length: 32 }, () => open(one)))
    assert.ok(streams.every(({ answer }) => answer.startsWith('HTTP/1.1 200')))
    assert.match((await open(one)).answer, /^HTTP\/1\.1 429 .*"code":"concurrency_limited"/s)
    assert.match((await open(other)).answer, /^HTTP\/1\.1 200/)
    streams[0]?.socket.destroy()
    while (!(await open(one)).answer.startsWith('HTTP/1.1 200'));
  })

  it('ends streams of events', async () => {
    await using running = await startServer({ auth: 'on' })
    const { key, text } = running.keys.create(READER)
    const socket = await running.dial()
    const get = `GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1:${running.port}\r\n`
    socket.write(`${get}Authorization: Bearer ${text}\r\n\r\n`)
    await read(socket, 'id: 0\n\n')
    running.keys.revoke(key.id)
    await read(socket, 'never')
    assert.equal(socket.readableEnded, true)
  })
})
