import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, connect as dial } from 'node:net'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { Identities } from '../../src/domain/identity.ts'
import { createHandshake } from '../../src/fetch/tls.ts'
import { seededRandom } from '../../src/lib/random.ts'
import type { LoggedRequest } from '../../src/testnet/protocol.ts'
import { each, problemOf } from '../asking.ts'
import { SomebodysTor } from '../integration/somebodys-tor.ts'
import { extensionsOf } from './client-hello.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab } from './leak-lab.ts'

const IDENTITIES = 50
/** In each, every identity asks once, in a random order; so many at the same time. */
const INTERLEAVINGS = Number(process.env.LEAK_INTERLEAVINGS ?? 20)
const AT_A_TIME = 12
const SEED = Number(process.env.LEAK_SEED ?? 1)

/** What a site may try to know somebody again by, `ID` being who asks. */
const PATHS = [
  '/anything/ID',
  '/cookies/set?sid=ID',
  '/etag?ID',
  '/basic-auth?ID',
  '/response-headers?Strict-Transport-Security=max-age=99999&Clear=ID',
  '/response-headers?Cache-Control=max-age=99999&ETag=%22ID%22&Last-Modified=Mon%2C%2001%20Jan%202024%2000:00:00%20GMT',
  '/redirect-to?url=/anything/ID&status=308',
]

describe('isolation', { timeout: 1_800_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
  })

  it(`L15, L16, L19, L20, L21: ${INTERLEAVINGS} interleavings of ${IDENTITIES} identities share nothing`, async (t) => {
    const random = seededRandom(SEED)
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    const ids = Array.from({ length: IDENTITIES }, (_, n) => `id-${n}-`)
    for (let round = 0; round < INTERLEAVINGS; round++) {
      const order = shuffled(ids, random.float)
      await each(order.length, AT_A_TIME, async (n) => {
        const id = order[n] ?? ''
        const path = (PATHS[random.int(PATHS.length)] ?? '').replaceAll('ID', id)
        const base = random.int(2) === 0 ? 'http' : 'https'
        const host = random.int(4) === 0 ? 'other' : 'www'
        await gateway.api.fetch({
          url: `${base}://${host}.cbtor.test${path}`,
          sticky_key: id,
          follow_redirects: random.int(2) === 0,
        })
      })
    }
    await gateway.circuits.settle()
    const seen = (await watch.requests('')).filter(({ path }) => /id-\d+-/.test(path))
    assert.ok(seen.length >= (INTERLEAVINGS * IDENTITIES) / 2)
    const connections = Map.groupBy(seen, ({ connectionId }) => connectionId)
    const sharedConnections = [...connections.values()].filter((requests) => new Set(requests.map(idOf)).size > 1)
    const resumed = seen.filter(({ tlsSessionReused }) => tlsSessionReused)
    const remembered = seen.filter(({ rawHeaders }) =>
      rawHeaders.some(([name]) => /^(?:cookie|if-.*|authorization)$/i.test(name)),
    )
    // HSTS would turn http into https: both schemes are asked as often as they were meant.
    assert.ok(seen.some(({ tls }) => tls) && seen.some(({ tls }) => !tls))
    const users = new Set(gateway.circuits.since(mark).map(({ user }) => user))
    assert.ok(users.size >= IDENTITIES)
    const figure = `${INTERLEAVINGS} interleavings × ${IDENTITIES} identities, seed ${SEED}: ${seen.length} requests over ${connections.size} connections and ${gateway.circuits.usersOfCircuits().size} circuits: shared circuits ${gateway.circuits.shared().length}, connections ${sharedConnections.length}, TLS sessions ${resumed.length}, cookies and validators ${remembered.length}`
    t.diagnostic(`figure: ${figure}`)
    assert.deepEqual([gateway.circuits.shared(), sharedConnections, resumed, remembered], [[], [], [], []])
    // An identity does have something of its own: it keeps connections.
    assert.ok(connections.size < seen.length)
    await watch.nothingLeaked()
  })

  it('L15: identities of all kinds at one target at once have circuits and connections of their own', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    const url = 'http://l15.cbtor.test/anything/l15-'
    const kinds = [{}, { isolation: 'none' }, { sticky_key: 'l15.cbtor.test' }, { sticky_key: 'none' }] as const
    await Promise.all(
      Array.from({ length: 24 }, (_, n) =>
        gateway.api.fetch({ url: `${url}${n % 4}-`, worker: 'tor01', ...kinds[n % 4] }),
      ),
    )
    await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        gateway.api.fetch({ url: `${url}r${n}-`, worker: 'tor01', isolation: 'request' }),
      ),
    )
    await gateway.circuits.settle()
    const byConnection = Map.groupBy(await watch.requests('l15-'), ({ connectionId }) => connectionId)
    for (const requests of byConnection.values()) assert.equal(new Set(requests.map(({ path }) => path)).size, 1)
    assert.equal(
      new Set(gateway.circuits.since(mark).flatMap(({ host, user }) => (host === 'l15.cbtor.test' ? user : []))).size,
      10,
    )
    assert.deepEqual(gateway.circuits.shared(), [])
  })

  it('L17: two hosts of one certificate have a connection each, and nobody speaks HTTP/2', async () => {
    const watch = await lab.watch()
    for (const host of ['l17-a', 'l17-b', 'l17-a', 'l17-b'])
      await gateway.api.fetch({ url: `https://${host}.cbtor.test/anything/l17`, sticky_key: 'l17' })
    const seen = await watch.requests('/anything/l17')
    const hosts = Map.groupBy(seen, ({ connectionId }) => connectionId)
    assert.equal(hosts.size, 2)
    for (const requests of hosts.values()) {
      assert.equal(new Set(requests.map(({ serverName, host }) => `${serverName} ${host}`)).size, 1)
      assert.equal(requests[0]?.serverName, requests[0]?.host)
    }
    assert.ok(seen.every(({ alpn }) => alpn === 'http/1.1'))
  })

  it('L18: no handshake has early data, a ticket or a session of an earlier one', async () => {
    const handshake = createHandshake()
    for (let n = 0; n < 3; n++) {
      const hello = await firstBytesOf(async (port) => {
        const socket = dial(port, '127.0.0.1')
        await once(socket, 'connect')
        await handshake(socket, 'l18.example', new AbortController().signal).catch(() => {})
      })
      const { extensions, sessionIdLength } = extensionsOf(hello)
      assert.ok(extensions.has(EXTENSION.supportedVersions), 'it speaks TLS 1.3')
      for (const name of ['earlyData', 'preSharedKey'] as const) assert.ok(!extensions.has(EXTENSION[name]), name)
      assert.equal(extensions.get(EXTENSION.sessionTicket) ?? 0, 0, 'no ticket')
      // TLS 1.3 fills it with random bytes, to pass through old machines; it names no session.
      assert.ok(sessionIdLength === 0 || sessionIdLength === 32)
    }
  })

  it('L22: no two sessions get one SOCKS user name, whatever they are called', () => {
    const identities = new Identities(Buffer.alloc(32, 7), () => Buffer.alloc(32))
    const tokens = new Map<string, string>()
    const take = (isolation: 'destination' | 'none', host: string, stickyKey?: string) => {
      const { token } = identities.for({ isolation, host, ...(stickyKey !== undefined && { stickyKey }) })
      const name = JSON.stringify(
        stickyKey === undefined ? [isolation, isolation === 'none' ? '' : host] : ['key', stickyKey],
      )
      assert.match(token, /^[A-Za-z0-9_-]{43}$/)
      assert.equal(tokens.get(token) ?? name, name)
      tokens.set(token, name)
    }
    const strange = [
      '',
      'user',
      'user\0',
      'a'.repeat(255),
      'a'.repeat(256),
      'a'.repeat(257),
      'e\u0301',
      '\u00e9',
      '<torS0X>0',
      'sticky\0',
      'none',
    ]
    for (const name of strange) {
      take('destination', name)
      take('none', name)
      take('none', 'h', name)
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (name) => {
        if (!name.isWellFormed()) return
        take('destination', name)
        take('none', 'h', name)
      }),
      { numRuns: 20_000 },
    )
    for (let n = 0; n < 100_000; n++) take('none', 'h', `session-${n}`)
    assert.ok(tokens.size > 100_000)
  })

  it('L23: a Tor that does not keep identities apart gets no request', async () => {
    for (const line of [
      'SocksPort 9999 NoIsolateSOCKSAuth',
      'SocksPort 9999 PreferSOCKSNoAuth',
      'SocksPort 9999 IsolateDestAddrs',
      'IsolateSOCKSAuth 1',
    ])
      await assert.rejects(lab.gateway({ workers: lab.localWorkers(1, [line]) }), /The service does not start/, line)
    await using tor = await SomebodysTor.start({ network: lab.network, client: lab.client() })
    await tor.bootstrapped()
    await tor.changeSocksPort('NoIsolateSOCKSAuth')
    const { controlSocket, controlCookie, socksSocket } = tor.directory
    const worker = {
      kind: 'external',
      id: 'tor01',
      socks: `unix:${socksSocket}`,
      control: `unix:${controlSocket}`,
      cookie_file: controlCookie,
    }
    await using refused = await lab.gateway({ workers: [worker], isReady: false })
    const watch = await lab.watch()
    for (let n = 0; n < 10; n++) {
      const { code } = await problemOf(
        refused.api.fetch({ url: `${lab.network.urls.www}/anything/l23`, timeout_ms: 2_000 }),
      )
      assert.ok(['no_worker', 'worker_unreachable', 'conflict'].includes(code), code)
    }
    assert.notEqual((await refused.api.worker('tor01')).state, 'healthy')
    assert.deepEqual(await watch.requests('l23'), [])
    await watch.nothingLeaked()
  })
})

const EXTENSION = { sessionTicket: 35, preSharedKey: 41, earlyData: 42, supportedVersions: 43 } as const

function idOf({ path }: LoggedRequest): string | undefined {
  return /id-\d+-/.exec(path)?.[0]
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** What a client says first to a server that answers nothing and hangs up. */
async function firstBytesOf(client: (port: number) => Promise<void>): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const heard = new Promise<Buffer>((resolve) => {
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes) => {
        resolve(bytes)
        socket.end()
      })
    })
  })
  await client((server.address() as AddressInfo).port)
  server.close()
  return await heard
}
