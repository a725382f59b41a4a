import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createApiClient } from './client/client.ts'
import { parseConfig } from './config/read-config.ts'
import { SqliteJobStore } from './jobs/sqlite-job-store.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { createService } from './service.ts'
import { FakeDriver } from './workers/fake/fake-driver.ts'

const silent = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent }
const never = new AbortController().signal
const HOST = 'slow.test'
const FETCH = { url: `http://${HOST}/`, timeout_ms: 300_000 }

/** A service with one worker, behind which there is one site that answers when it is told to. */
async function createPlace() {
  const clock = new FakeClock(Date.now())
  const state = mkdtempSync(join(tmpdir(), 'cbtor-drain-'))
  const asked: Socket[] = []
  const check = '{"IsTor":true,"IP":"198.51.100.1"}'
  const targets = new Map<string, (socket: Socket) => void>([
    [`${HOST}:80`, (socket) => socket.once('data', () => asked.push(socket))],
    ['check.test:80', (socket) => socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${check}`))],
  ])
  const exits = [{ fingerprint: 'A'.repeat(40), nickname: 'exit', address: '198.51.100.1', country: 'de' }]
  const ports = { listen: '127.0.0.1:0', proxy: { http: '127.0.0.1:0', socks: 'off', auth: 'off' } }
  const config = parseConfig(
    {
      ...{ ...ports, state, auth: 'off', shutdown_timeout: '20s' },
      workers: [{ kind: 'local', id: 'tor01' }],
      checks: { clearnet: ['http://check.test/'], onion: [] },
    },
    {},
  )
  const createDriver = (id: string) => new FakeDriver({ id, targets, exits, clock })
  const service = await createService(config, { clock, createDriver, logger: silent }, never)
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false
    const over = promise.finally(() => {
      isOver = true
    })
    while (!isOver) await clock.advance(10)
    return await over
  }
  await settled(service.ready(never))
  const port = Number(new URL(service.proxy.http ?? '').port)
  return {
    ...{ clock, service, state, settled },
    api: createApiClient({ baseUrl: service.url }),
    /** The connection of the n-th request that has reached the site. */
    async asked(n = 0): Promise<Socket> {
      while (asked[n] === undefined) await clock.advance(10)
      return asked[n]
    },
    async tunnel(): Promise<Socket> {
      const client = connect(port, '127.0.0.1')
      client.write(`CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}:80\r\n\r\n`)
      const [answer] = await settled(once(client, 'data'))
      assert.match(String(answer), /^HTTP\/1\.1 200 /)
      return client
    },
    /** Passes so much time, and lets sockets have their say. */
    async pass(ms: number): Promise<void> {
      for (let turn = 0; turn < 10; turn++) await clock.advance(ms / 10)
    },
    async isRefused(at: number): Promise<boolean> {
      const socket = connect(at, '127.0.0.1')
      return await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
      }).finally(() => socket.destroy())
    },
    ports: [Number(new URL(service.url).port), port],
    [Symbol.dispose]: () => rmSync(state, { recursive: true, force: true }),
  }
}

describe('a service that is asked to end', { timeout: 30_000 }, () => {
  it('closes all doors at once, and lets fetches and tunnels finish', async () => {
    using place = await createPlace()
    const { api, service } = place
    const fetched = api.fetch(FETCH)
    const site = await place.asked()
    const tunnel = await place.tunnel()
    tunnel.write('ping')
    const end = await place.asked(1)

    const ended = Promise.resolve(service[Symbol.asyncDispose]())
    await place.pass(100)
    for (const port of place.ports) assert.ok(await place.isRefused(port), `port ${port}`)
    await place.pass(10_000)
    end.write('pong')
    assert.equal(String((await once(tunnel, 'data'))[0]), 'pong')
    site.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    assert.equal((await fetched).body, 'done')
    tunnel.end()
    end.end()
    await place.settled(ended)
  })

  it('gives up what still runs while there is time left to say so', async () => {
    using place = await createPlace()
    const { api, service } = place
    const fetched = api.fetch(FETCH).then(
      () => undefined,
      (error) => error,
    )
    await place.asked()
    const tunnel = await place.tunnel()
    const cut = once(tunnel, 'close').catch(() => undefined)
    const ended = Promise.resolve(service[Symbol.asyncDispose]())
    await place.pass(15_900)
    assert.equal(tunnel.closed, false)
    await place.pass(200)
    assert.equal((await fetched)?.problem.code, 'shutting_down')
    await cut
    await place.settled(ended)
  })

  it('puts the fetches of jobs back, to be done at the next start', async () => {
    using place = await createPlace()
    const { api, service, state } = place
    const { id } = await api.submitJob({ fetches: [FETCH] })
    await place.asked()
    await service[Symbol.asyncDispose]()
    using store = new SqliteJobStore(join(state, 'jobs.db'))
    assert.deepEqual([...store.interrupted()], [])
    assert.deepEqual(store.job(id)?.state, 'running')
    assert.notEqual(store.outlook(id).nextAt, undefined)
  })
})
