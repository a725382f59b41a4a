/** Two gateways in one process, with workers without Tor, on a real store. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { eventually, problemOf } from '../test/asking.ts'
import { startValkey, type Valkey } from '../test/valkey.ts'
import { createApiClient } from './client/client.ts'
import { ConfigError, parseConfig } from './config/read-config.ts'
import { silentLogger } from './lib/log.ts'
import { createService } from './service.ts'
import { StoreError } from './store/store-error.ts'
import { FakeDriver } from './workers/fake/fake-driver.ts'

const EXITS = [{ nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.1', country: 'de' }]
const TARGETS = new Map([
  ['www.cbtor.test:80', (socket: import('node:net').Socket) => socket.once('data', () => socket.end(ANSWER))],
])
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'
const URL = 'http://www.cbtor.test/'

async function metricOf(api: { metrics(): Promise<string> }, name: string): Promise<number> {
  return Number(new RegExp(`^cbtor_${name} (\\d+)$`, 'm').exec(await api.metrics())?.[1] ?? Number.NaN)
}

describe('two gateways of one pool', { timeout: 120_000 }, () => {
  let store: Valkey
  let directory: string

  before(async () => {
    store = await startValkey()
    directory = mkdtempSync(join(tmpdir(), 'cbtor-two-'))
  })

  after(async () => {
    await store[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true, force: true })
  })

  async function gateway(replica: string, change: object = {}) {
    const config = parseConfig(
      {
        ...{ listen: '127.0.0.1:0', state: join(directory, replica), log: 'silent', store: store.url },
        ...{ proxy: { http: 'off', socks: 'off' }, politeness: 'off', checks: { clearnet: [URL], onion: [] } },
        cluster: { replica, secret_file: join(directory, 'secret') },
        workers: ['tor01', 'tor02', 'tor03', 'tor04'].map((id, n) => ({
          ...{ kind: 'external', id, socks: `127.0.0.1:${9050 + n}` },
        })),
        ...change,
      },
      {},
    )
    const createDriver = (id: string) => new FakeDriver({ id, targets: TARGETS, exits: EXITS })
    return await createService(config, { createDriver, logger: silentLogger }, AbortSignal.timeout(30_000))
  }

  it('share what operators wish, keys and workers; each tells of both', async () => {
    await using first = await gateway('gw1')
    await using second = await gateway('gw2')
    assert.ok(first.adminKey)
    assert.equal(second.adminKey, undefined)
    const [a, b] = [first, second].map(({ url }) => createApiClient({ baseUrl: url, key: first.adminKey ?? '' }))
    assert.ok(a && b)
    await Promise.all([first, second].map((each) => each.ready(AbortSignal.timeout(30_000))))

    const { replicas, store: seen } = await eventually(async () => {
      const found = await b.replicas()
      const held = found.replicas.reduce((sum, { heals }) => sum + heals, 0)
      return found.replicas.length === 2 && held === 4 && found
    })
    assert.deepEqual(
      replicas.map(({ name, self }) => [name, self]),
      [
        ['gw1', false],
        ['gw2', true],
      ],
    )
    assert.deepEqual([seen.kind, seen.up, seen.down_since], ['shared', true, null])
    await eventually(async () => {
      const [byFirst = 0, bySecond = 0] = await Promise.all([a, b].map((api) => metricOf(api, 'healed_workers')))
      return byFirst + bySecond === 4
    })
    assert.deepEqual([await metricOf(a, 'store_up'), await metricOf(b, 'replicas')], [1, 2])

    await a.setMode('failover')
    await eventually(async () => (await b.mode()).mode === 'failover')
    await b.drain('tor02')
    await eventually(async () => (await a.worker('tor02')).desired === 'drained')
    await a.enable('tor02')
    await eventually(async () => (await b.worker('tor02')).desired === 'enabled')
    await b.stopTor('tor03')
    await eventually(async () => (await a.worker('tor03')).state === 'starting')
    assert.equal((await a.worker('tor03')).desired, 'stopped')

    const { id } = await a.submitJob({ fetches: Array.from({ length: 20 }, () => ({ url: URL })) })
    await eventually(async () => (await b.job(id)).state === 'done')
    const { results } = await b.jobResults(id)
    assert.deepEqual([results.length, results.every(({ state }) => state === 'done')], [20, true])

    const made = await b.createKey({ name: 'reader', scopes: ['fetch'] })
    const withKey = createApiClient({ baseUrl: first.url, key: made.key })
    await eventually(async () => (await withKey.fetch({ url: URL })).status === 200)
    await a.revokeKey(made.id)
    await eventually(async () => (await problemOf(withKey.fetch({ url: URL }))).status === 401)
    await eventually(async () =>
      (await a.events()).events.some(({ type, replica }) => type === 'desired_changed' && replica === 'gw2'),
    )
  })

  it('go on without the store, tell that it is gone, and agree again when it is back', async () => {
    await using first = await gateway('gw1')
    await using second = await gateway('gw2', { auth: 'off' })
    const admin = createApiClient({ baseUrl: second.url })
    await Promise.all([first, second].map((each) => each.ready(AbortSignal.timeout(30_000))))
    await admin.setMode('sticky')
    await eventually(async () => first.backend.mode() === 'sticky')

    await store.stop()
    await eventually(async () => (await admin.health()).problems.some(({ code }) => code === 'store_unreachable'))
    assert.equal((await admin.fetch({ url: URL, sticky_key: 'a' })).status, 200)
    await admin.setMode('random')
    await admin.drain('tor04')
    assert.ok((await admin.replicas()).store.pending >= 2)
    assert.ok((await metricOf(admin, 'store_pending_writes')) >= 2)
    assert.equal(await metricOf(admin, 'store_up'), 0)
    await eventually(async () => (await metricOf(admin, 'healed_workers')) === 0)
    assert.equal(first.backend.mode(), 'sticky')

    await store.restart()
    await eventually(async () => first.backend.mode() === 'random')
    await eventually(async () =>
      first.backend.workers().some(({ id, desired }) => id === 'tor04' && desired === 'drained'),
    )
    await eventually(async () => (await admin.health()).problems.every(({ code }) => code !== 'store_unreachable'))
    assert.equal((await admin.replicas()).store.pending, 0)
    await admin.enable('tor04')
    await admin.startTor('tor03')
  })

  it('tell that the store takes no writes, although it answers', async () => {
    await using only = await gateway('gw1', { auth: 'off' })
    const api = createApiClient({ baseUrl: only.url })
    const told = async () => (await api.health()).problems.filter(({ code }) => code === 'store_unreachable')
    await store.cli('CONFIG', 'SET', 'maxmemory', '1')
    try {
      const [problem] = await eventually(async () => (await told()).length === 1 && told())
      assert.match(problem?.text ?? '', /takes no writes.*OOM/)
    } finally {
      await store.cli('CONFIG', 'SET', 'maxmemory', '0')
    }
    await eventually(async () => (await told()).length === 0)
    await store.cli('ACL', 'SETUSER', 'default', '-hset')
    try {
      await eventually(async () => (await told())[0]?.text.includes('takes no writes'))
    } finally {
      await store.cli('ACL', 'SETUSER', 'default', '+@all')
    }
    await eventually(async () => (await told()).length === 0)
  })

  it('are told of as long as two of them have one name', async () => {
    await using first = await gateway('gw1')
    const codes = () => first.backend.problems().map(({ code }) => code)
    {
      const cluster = { replica: 'gw1', secret_file: join(directory, 'secret') }
      await using _ = await gateway('gw2', { cluster })
      await eventually(async () => codes().includes('replica_name_taken'))
    }
    await eventually(async () => !codes().includes('replica_name_taken'))
  })

  it('are refused with another secret', async () => {
    await using _ = await gateway('gw1')
    await assert.rejects(gateway('gw3', { cluster: { replica: 'gw3' } }), /another pool/)
  })

  it('are refused a worker port that somebody else has, as a fault of the configuration', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    try {
      const { port } = other.address() as import('node:net').AddressInfo
      const cluster = { replica: 'gw3', secret_file: join(directory, 'secret'), worker_port: `127.0.0.1:${port}` }
      await assert.rejects(gateway('gw3', { cluster }), (error) => {
        assert.ok(error instanceof ConfigError)
        assert.match(error.message, /cluster\.worker_port: Cannot open the worker port .*EADDRINUSE; free it/)
        return true
      })
    } finally {
      other.close()
    }
  })

  it('are refused with files of the store that say nothing, in the way of a store', async () => {
    const nothing = join(directory, 'nothing')
    writeFileSync(nothing, '\n', { mode: 0o600 })
    const refused = (message: RegExp) => (error: unknown) => {
      assert.ok(error instanceof StoreError, String(error))
      assert.match(error.message, message)
      return true
    }
    const cluster = { replica: 'gw3', secret_file: join(directory, 'secret') }
    const empty = gateway('gw3', { cluster: { ...cluster, password_file: nothing } })
    await assert.rejects(empty, refused(/^Cannot read the password of the store/))
    const lost = { cluster: { ...cluster, ca_file: join(directory, 'lost') }, store: 'rediss://127.0.0.1:1' }
    await assert.rejects(gateway('gw3', lost), refused(/^Cannot read the authority of the store's certificate/))
  })
})
