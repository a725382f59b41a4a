import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { createService, type Service } from '../../src/service.ts'
import type { ConnectOptions, WorkerConnection } from '../../src/workers/driver.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import { eventually, problemOf } from '../asking.ts'

const never = new AbortController().signal
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const CHUNK = Buffer.alloc(16_384, 'x')

/** Answers http, or, on port 7, sends without end. */
const site = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.write(ANSWER)))
const flood = createServer((socket) => {
  const send = () => {
    while (socket.writable && socket.write(CHUNK));
  }
  socket.on('error', () => {}).on('drain', send)
  send()
})

/** A worker that reaches the two of them, whatever the name. */
class NearDriver extends FakeDriver {
  override async connect(
    { port }: Target,
    _identity: Identity,
    _signal: AbortSignal,
    { earlyData }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const socket = connect(portOf(port === 7 ? flood : site), '127.0.0.1')
    await once(socket, 'connect')
    if (earlyData) socket.write(earlyData)
    return { socket, route: 'socks', exit: async () => undefined }
  }
}

let state: string
let service: Service
let api: ApiClient

before(async () => {
  state = mkdtempSync(join(tmpdir(), 'cbtor-limits-'))
  for (const server of [site, flood]) await once(server.listen(0, '127.0.0.1'), 'listening')
  await start()
})

after(async () => {
  await service?.[Symbol.asyncDispose]()
  for (const server of [site, flood]) server.close()
  rmSync(state, { recursive: true, force: true })
})

describe('a key with limits', { timeout: 300_000 }, () => {
  it('is held to them on every way in, all of them together', async () => {
    const { key } = await api.createKey({ name: 'slow', scopes: ['fetch', 'proxy'], limits: { rate: 0.01, burst: 3 } })
    const mine = createApiClient({ baseUrl: service.url, key })
    assert.equal((await mine.fetch({ url: 'http://a.test/' })).status, 200)
    assert.match(await proxied(key, 'GET http://a.test/ HTTP/1.1', 'a.test'), /^HTTP\/1\.1 200 OK/)
    const tunnel = await openTunnel(key, 'a.test:80')
    assert.match(tunnel.head, /^HTTP\/1\.1 200/)
    for (const answer of [
      await proxied(key, 'GET http://a.test/ HTTP/1.1', 'a.test'),
      (await openTunnel(key, 'a.test:80')).head,
    ]) {
      assert.match(answer, /^HTTP\/1\.1 429 /)
      assert.match(answer, /\r\nretry-after: \d+\r\n/i)
    }
    assert.equal((await problemOf(mine.fetch({ url: 'http://a.test/' }))).code, 'rate_limited')
    assert.equal((await api.fetch({ url: 'http://a.test/' })).status, 200, 'other keys go on')
    tunnel.socket.destroy()
  })

  it('loses its tunnels when its bytes are used up, and is refused also after a restart', async () => {
    const limits = { bytes_per_day: 1_000_000 }
    const { key } = await api.createKey({ name: 'small', scopes: ['fetch', 'proxy'], limits })
    const tunnel = await openTunnel(key, 'a.test:7')
    const standing = await openTunnel(key, 'a.test:80')
    assert.match(standing.head, /^HTTP\/1\.1 200/)
    for (const { socket } of [tunnel, standing]) socket.resume()
    await Promise.all([tunnel.closed, standing.closed])
    assert.ok(tunnel.socket.bytesRead >= 1_000_000)

    const refusal = async () =>
      (await problemOf(createApiClient({ baseUrl: service.url, key }).fetch({ url: 'http://a.test/' }))).code
    assert.equal(await refusal(), 'quota_exceeded')
    assert.match((await openTunnel(key, 'a.test:80')).head, /^HTTP\/1\.1 429 /)
    await service[Symbol.asyncDispose]()
    await start()
    assert.equal(await refusal(), 'quota_exceeded')
  })

  it('gets its places back when its tunnels and forwarded requests have ended', async () => {
    const { key } = await api.createKey({ name: 'one', scopes: ['fetch', 'proxy'], limits: { concurrent: 1 } })
    const mine = createApiClient({ baseUrl: service.url, key })
    for (let n = 0; n < 3; n++) {
      const tunnel = await openTunnel(key, 'a.test:80')
      assert.match(tunnel.head, /^HTTP\/1\.1 200/, 'a tunnel that stands is none under way')
      assert.match(await proxied(key, 'GET http://a.test/ HTTP/1.1', 'a.test'), /^HTTP\/1\.1 200/)
      await eventually(async () => (await mine.fetch({ url: 'http://a.test/' })).status === 200)
      tunnel.socket.destroy()
    }
  })
})

async function start(): Promise<void> {
  const document = {
    ...{ state, listen: '127.0.0.1:0', log: 'silent', politeness: 'off' },
    proxy: { http: '127.0.0.1:0', socks: 'off' },
    workers: [{ kind: 'local', id: 'tor01' }],
    targets: { allow_ports: [7] },
    checks: { clearnet: ['http://check.test/'], onion: [] },
  }
  const createDriver = (id: string) => new NearDriver({ id, targets: new Map(), exits: [] })
  service = await createService(parseConfig(document, {}), { createDriver }, never)
  await service.ready(AbortSignal.timeout(20_000))
  adminKey ??= service.adminKey
  api = createApiClient({ baseUrl: service.url, key: adminKey })
}
let adminKey: string | undefined

/** The whole answer of the HTTP port. */
async function proxied(key: string, line: string, host: string): Promise<string> {
  const socket = await dial(key, line, host, 'connection: close\r\n')
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) text += chunk
  return text
}

async function openTunnel(key: string, target: string) {
  const socket = await dial(key, `CONNECT ${target} HTTP/1.1`, target)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const [head] = await once(socket, 'data')
  socket.pause()
  return { socket, closed, head: String(head) }
}

async function dial(key: string, line: string, host: string, more = ''): Promise<Socket> {
  const { port } = new URL(service.proxy.http ?? '')
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  const credentials = Buffer.from(`:${key}`).toString('base64')
  socket.write(`${line}\r\nhost: ${host}\r\nproxy-authorization: Basic ${credentials}\r\n${more}\r\n`)
  return socket
}

function portOf(server: typeof site): number {
  return (server.address() as AddressInfo).port
}
