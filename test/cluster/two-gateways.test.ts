/**
 * Two gateways of one pool with real Tors on a private Tor network and a real store: each uses its own local workers and those of the
 * other one.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoConfig } from '../../src/cli/commands/demo.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { createService, type Service } from '../../src/service.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { eventually, problemOf } from '../asking.ts'
import { withoutKeys, withoutLimits } from '../integration/lab.ts'
import { startValkey, type Valkey } from '../valkey.ts'

const WORKERS = ['gw1-tor01', 'gw1-tor02', 'gw2-tor01', 'gw2-tor02']

describe('two gateways with real Tors', { timeout: 300_000 }, () => {
  const parts = new AsyncDisposableStack()
  let network: TorNetwork
  let store: Valkey
  let services: readonly [Service, Service]
  let apis: readonly [ApiClient, ApiClient]

  before(async () => {
    network = parts.use(await TorNetwork.create())
    store = parts.use(await startValkey())
    const gateway = async (replica: string) => {
      const state = join(network.directory, replica)
      const config = withoutLimits(withoutKeys(demoConfig(network, '127.0.0.1:0', state)))
      return parts.use(
        await createService(
          {
            ...{ ...config, log: 'silent', store: store.url, workers: config.workers.slice(0, 2) },
            cluster: {
              ...{ ...config.cluster, replica, secret_file: join(network.directory, 'pool-secret') },
              worker_port: { host: '127.0.0.1', port: 0 },
            },
          },
          {},
          AbortSignal.timeout(60_000),
        ),
      )
    }
    services = [await gateway('gw1'), await gateway('gw2')]
    apis = [createApiClient({ baseUrl: services[0].url }), createApiClient({ baseUrl: services[1].url })]
    for (const api of apis)
      await eventually(async () => {
        const { workers } = await api.workers()
        return workers.length === 4 && workers.every(({ state }) => state === 'healthy')
      })
  })

  after(() => parts.disposeAsync())

  it('have the same workers by the same names, their own and those of the other one', async () => {
    for (const [n, api] of apis.entries()) {
      const kinds = (await api.workers()).workers.map(({ id, kind }) => [id, kind]).sort()
      const own = `gw${n + 1}`
      assert.deepEqual(
        kinds,
        WORKERS.map((id) => [id, id.startsWith(own) ? 'local' : 'peer']),
      )
    }
  })

  it('fetch through each of them, by the exit that is told, to the clearnet and to an onion service', async () => {
    for (const api of apis)
      for (const worker of WORKERS) {
        const answer = await api.fetch({ url: `${network.urls.check}/api/ip`, worker })
        assert.equal(answer.worker, worker)
        assert.deepEqual(JSON.parse(answer.body), { IsTor: true, IP: answer.receipt.exit?.address })
        assert.equal((await api.fetch({ url: `${network.urls.onion}/ip`, worker })).status, 200)
      }
  })

  it('give a sticky key the same worker, circuit and exit, and its next identity when it is rotated at either', async () => {
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const request = { url: `${network.urls.check}/api/ip`, sticky_key: key }
      const [first, second] = [await apis[0].fetch(request), await apis[1].fetch(request)]
      assert.deepEqual([second.worker, second.receipt.exit], [first.worker, first.receipt.exit])
      assert.equal(JSON.parse(second.body).IP, first.receipt.exit?.address)

      await apis[1].rotateSession(key)
      await eventually(async () => (await apis[0].session(key)).requests === 0)
      const [third, fourth] = [await apis[0].fetch(request), await apis[1].fetch(request)]
      assert.deepEqual([fourth.worker, fourth.receipt.exit], [third.worker, third.receipt.exit])
    }
  })

  it('stop, start and restart a worker of the other one', async () => {
    await apis[0].stopTor('gw2-tor01')
    await eventually(async () => (await apis[1].worker('gw2-tor01')).process.state === 'stopped')
    const { code } = await problemOf(apis[1].fetch({ url: `${network.urls.www}/ip`, worker: 'gw2-tor01' }))
    assert.equal(code, 'conflict')
    await apis[0].startTor('gw2-tor01')
    await eventually(async () => (await apis[1].worker('gw2-tor01')).state === 'healthy')
    await eventually(async () => (await apis[0].worker('gw2-tor01')).state === 'healthy')
    const before = services[1].pids()['gw2-tor01']
    await apis[0].restartTor('gw2-tor01')
    assert.notEqual(services[1].pids()['gw2-tor01'], before)
    await eventually(async () => (await apis[0].worker('gw2-tor01')).state === 'healthy')
  })

  it('lose no fetch while the other one goes, and while the store is gone', async () => {
    let isOver = false
    using ends = new DisposableStack()
    ends.defer(() => {
      isOver = true
    })
    const statuses: number[] = []
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) statuses.push((await apis[0].fetch({ url: `${network.urls.www}/ip` })).status)
    })
    await store.stop()
    await eventually(async () => (await apis[0].health()).problems.some(({ code }) => code === 'store_unreachable'))
    const seen = statuses.length
    await eventually(async () => statuses.length > seen + 20)
    await services[1][Symbol.asyncDispose]()
    await eventually(async () => !(await apis[0].worker('gw2-tor01')).receives_traffic)
    await store.restart()
    await eventually(async () => (await apis[0].replicas()).replicas.length === 1)
    isOver = true
    await Promise.all(clients)
    assert.ok(statuses.every((status) => status === 200))
  })
})
