import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { checkProxyPort, judgeProxyPort, type ProxyPort } from './proxy-ports.ts'

const never = new AbortController().signal
const http: ProxyPort = {
  ...{ field: 'proxy.http', speaks: 'http', isSecured: false },
  address: { host: '127.0.0.1', port: 8118 },
}
const socks: ProxyPort = { ...http, field: 'proxy.socks', speaks: 'socks', address: { host: '127.0.0.1', port: 1080 } }
const exposed = { host: '0.0.0.0', port: 1080 }

describe('a proxy port', { timeout: 10_000 }, () => {
  it('answers, and asks for a password where one is set', () => {
    const cases: [port: ProxyPort, answer: string, requiresPassword: boolean, verdict: string][] = [
      [http, 'HTTP/1.1 400 Bad Request\r\n', false, 'ok'],
      [http, 'HTTP/1.1 407 Proxy Authentication Required\r\n', true, 'ok'],
      [http, 'HTTP/1.1 407 Proxy Authentication Required\r\n', false, 'warning'],
      [http, 'HTTP/1.1 502 Bad Gateway\r\n', true, 'wrong'],
      [http, 'SSH-2.0-OpenSSH_9.2\r\n', false, 'wrong'],
      [http, '', false, 'wrong'],
      [socks, '\x05\x00', false, 'ok'],
      [socks, '\x05\xff', true, 'ok'],
      [socks, '\x05\x00', true, 'wrong'],
      [socks, 'HT', false, 'wrong'],
      [{ ...socks, address: exposed }, '\x05\xff', true, 'ok'],
      [{ ...socks, address: exposed }, '\x05\x00', false, 'wrong'],
    ]
    for (const [port, answer, requiresPassword, verdict] of cases)
      assert.equal(judgeProxyPort(port, answer, requiresPassword).verdict, verdict, JSON.stringify([port, answer]))
  })

  it('is knocked at, whatever answers', async () => {
    const answers = ['\x05\xff', 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', '']
    for (const answer of answers) {
      const greeted = Promise.withResolvers<string>()
      await using server = await listen((client) => {
        client.once('data', (chunk) => {
          greeted.resolve(chunk.toString('latin1'))
          client.end(answer, 'latin1')
        })
      })
      const port = { ...(answer.startsWith('H') ? http : socks), address: { host: '0.0.0.0', port: server.port } }
      const { verdict } = await checkProxyPort(port, { requiresPassword: true, clock: systemClock }, never)
      assert.equal(verdict, answer === '' ? 'wrong' : 'ok')
      assert.equal(
        await greeted.promise,
        answer.startsWith('H') ? 'GET http://doctor.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n' : '\x05\x01\x00',
      )
    }
  })

  it('is wrong when nobody listens', async () => {
    const { port } = await listen(() => {}).then(async (server) => {
      await server[Symbol.asyncDispose]()
      return server
    })
    const found = await checkProxyPort(
      { ...http, address: { host: '127.0.0.1', port } },
      { requiresPassword: false, clock: systemClock },
      never,
    )
    assert.equal(found.verdict, 'wrong')
    assert.match(found.text, /does not answer: connect ECONNREFUSED/)
  })
})

async function listen(serve: (client: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer(serve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, [Symbol.asyncDispose]: async () => void (await once(server.close(), 'close')) }
}
