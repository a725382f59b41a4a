import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { postLocally } from './local-post.ts'

async function listen(handle: RequestListener) {
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    to: { host: '127.0.0.1', port, path: '/hook?a=b' },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const never = new AbortController().signal

describe('postLocally()', { timeout: 10_000 }, () => {
  it('posts, and tells the status without waiting for the body or following it anywhere', async () => {
    const seen: unknown[] = []
    await using server = await listen(async (request, response) => {
      const { method, url, headers } = request
      seen.push(method, url, headers.host, headers['content-length'], headers['webhook-signature'], await text(request))
      response.writeHead(302, { location: '/elsewhere' }).write('a body that does not end')
    })
    const status = await postLocally(server.to, { 'webhook-signature': 'v1,2' }, '{"ö":1}', never)
    assert.equal(status, 302)
    assert.deepEqual(seen, ['POST', '/hook?a=b', `127.0.0.1:${server.to.port}`, '8', 'v1,2', '{"ö":1}'])
  })

  it('ends when told to', async () => {
    const asked = Promise.withResolvers<void>()
    await using server = await listen(() => asked.resolve())
    const controller = new AbortController()
    const posting = postLocally(server.to, {}, '', controller.signal)
    await asked.promise
    controller.abort(new Error('enough'))
    await assert.rejects(posting, /enough/)
    await assert.rejects(postLocally(server.to, {}, '', controller.signal), /enough/)
  })

  it('rejects when nobody is there, or what is there is no HTTP', async () => {
    const { to, ...server } = await listen(() => {})
    await server[Symbol.asyncDispose]()
    await assert.rejects(postLocally(to, {}, '', never), { code: 'ECONNREFUSED' })
    await using other = await listen((request) => request.socket.end('nonsense\r\n\r\n'))
    await assert.rejects(postLocally(other.to, {}, '', never), /Parse Error/)
  })
})
