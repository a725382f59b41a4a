import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService, type Service } from '../../src/service.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { eventually, problemOf } from '../asking.ts'
import { SomebodysTor } from './somebodys-tor.ts'

const never = new AbortController().signal
const FLAGS = ['IsolateSOCKSAuth', 'KeepAliveIsolateSOCKSAuth', 'ExtendedErrors'] as const

describe('a service on Tors that somebody else runs', { timeout: 600_000 }, () => {
  let network: TorNetwork
  let watched: SomebodysTor
  let bare: SomebodysTor
  let service: Service
  let api: ApiClient

  before(async () => {
    network = await TorNetwork.create()
    watched = await SomebodysTor.start({ network, client: 1, flags: FLAGS })
    bare = await SomebodysTor.start({ network, client: 2, flags: FLAGS })
    const { socksSocket, controlSocket, controlCookie } = watched.directory
    const config = parseConfig(
      {
        listen: '127.0.0.1:0',
        state: join(network.directory, 'external'),
        auth: 'off',
        log: 'silent',
        proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0' },
        workers: [
          {
            kind: 'external',
            id: 'watched',
            socks: `unix:${socksSocket}`,
            control: `unix:${controlSocket}`,
            cookie_file: controlCookie,
          },
          { kind: 'external', id: 'bare', socks: `unix:${bare.directory.socksSocket}` },
        ],
        ...{ limits: { rate: 'off', concurrent: 'off' }, politeness: 'off' },
        targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'] },
        checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
      },
      {},
    )
    service = await createService(config, {}, never)
    api = createApiClient({ baseUrl: service.url })
    await service.ready(AbortSignal.timeout(60_000))
  })

  after(async () => {
    await service?.[Symbol.asyncDispose]()
    await watched?.[Symbol.asyncDispose]()
    await bare?.[Symbol.asyncDispose]()
    await network?.[Symbol.asyncDispose]()
  })

  const fetchBy = (worker: string) => api.fetch({ url: `${network.urls.www}/ip`, worker, isolation: 'request' })

  it('fetches through both, and knows the exit where there is a control port', async () => {
    const [one, other] = [await fetchBy('watched'), await fetchBy('bare')]
    assert.deepEqual([one.status, other.status], [200, 200])
    assert.match(one.receipt.exit?.nickname ?? '', /^exit\d$/)
    assert.equal(other.receipt.exit, null)
    assert.equal((await problemOf(api.rebootBox('watched'))).code, 'conflict')
  })

  it('leaves a Tor alone that is stopped here, and turns to it again', async () => {
    await api.stopTor('watched')
    assert.equal(watched.isAlive(), true)
    assert.equal((await api.worker('watched')).desired, 'stopped')
    assert.equal((await problemOf(fetchBy('watched'))).code, 'conflict')
    await api.startTor('watched')
    await eventually(async () => (await api.worker('watched')).state === 'healthy')
    assert.equal((await fetchBy('watched')).status, 200)
  })

  it('takes up a Tor again that its owner brings back', async () => {
    for (const [id, tor] of Object.entries({ watched, bare })) {
      tor.signal('SIGKILL')
      await eventually(async () => (await api.worker(id)).receives_traffic === false)
      const other = id === 'bare' ? 'watched' : 'bare'
      assert.equal((await api.fetch({ url: `${network.urls.www}/ip`, isolation: 'request' })).worker, other)
      await tor.restart()
      await eventually(async () => (await api.worker(id)).state === 'healthy')
      assert.equal((await fetchBy(id)).status, 200)
    }
  })
})
