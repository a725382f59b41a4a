import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { it } from 'node:test'
import { parseConfig } from './config/read-config.ts'
import { ANYBODY } from './domain/caller.ts'
import { CbtorError } from './domain/errors.ts'
import type { FetchRequest, Routing } from './domain/exchange.ts'
import { Identities } from './domain/identity.ts'
import { Metrics } from './events/metrics.ts'
import { RequestLog } from './events/request-log.ts'
import { Fetcher } from './fetch/fetcher.ts'
import { createTargetPolicy } from './fetch/target-policy.ts'
import { turns } from './fetch/test-fetch-lab.ts'
import { type Behaviour, fetchRequest, TestServer, TestWorkers } from './fetch/test-lab.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { silentLogger } from './lib/log.ts'
import { seededRandom, systemRandom } from './lib/random.ts'
import { MemoryUsage } from './limits/memory-usage.ts'
import { LiveRequests } from './live/live-requests.ts'
import { Pool } from './pool/pool.ts'
import { type BackendParts, createBackend } from './service-backend.ts'
import { createOrder } from './service-order.ts'
import { createProxyBackend, type ProxyParts } from './service-proxy.ts'
import { poolSource } from './test-pool-source.ts'

const HOSTS = ['a.test', 'b.test']
const WORKERS = ['w1', 'w2', 'w3']
const KEYS = ['k0', 'k1', 'k2']
const CONCURRENT = 6
const FAULTS: readonly Behaviour[] = ['worker_unreachable', 'tor_timeout', 'hang', 'connection_refused']
const GONE = new CbtorError('client_gone', 'Cannot answer: the client closed its connection')

/** The last one meets with a client that left between its turn in the line and its request on a kept connection. */
for (const seed of [...Array.from({ length: 24 }, (_, n) => n), 269]) {
  it(`gives back every place, whatever happens to requests and tunnels (${seed})`, { timeout: 60_000 }, async () => {
    await using lab = await createLab(seed)
    for (let n = 0; n < 120; n++) {
      lab.act()
      if (lab.draw(4) === 0) await lab.clock.advance(lab.draw(2_000))
      if (lab.draw(3) === 0) await turns(1 + lab.draw(10))
    }
    if (seed % 3 === 0) lab.fetcher[Symbol.dispose]()
    await lab.passUntilQuiet()
    // Forwarded requests and tunnels last as long as their clients like.
    for (const client of lab.going.keys()) client.abort(GONE)
    for (const end of lab.endings) end()
    await lab.passUntilQuiet()
    await turns()

    const { fetcher, order, pool, clock } = lab
    assert.equal(lab.going.size, 0)
    assert.equal(order.waiting, 0)
    assert.deepEqual([lab.live.total, lab.live.tunnels], [0, 0])
    assert.deepEqual(
      pool.entries().map(({ leases }) => leases),
      [0, 0, 0],
    )
    assert.deepEqual([fetcher.connections.busy, fetcher.forwarder.connections.busy], [0, 0])
    await clock.advance(60_000)
    for (const host of HOSTS) assert.equal(order.order.politeness?.busy(host, true).size, 0, host)
    // Until the next day, lest bytes are used up.
    await clock.advance(86_400_000)
    for (const id of KEYS) for (let n = 0; n < CONCURRENT; n++) order.admission.admit({ ...ANYBODY, id })
  })
}

async function createLab(seed: number) {
  const random = seededRandom(seed)
  const draw = (below: number) => Math.floor(random.float() * below)
  const oneOf = <T>(all: readonly T[]) => all[draw(all.length)] as T
  const clock = new FakeClock()
  const limits = { rate: 50, concurrent: CONCURRENT, bytes_per_day: '3MB' }
  const config = parseConfig({ state: '/nowhere', limits, politeness: { concurrent: 2 } }, {})
  const metrics = new Metrics({ workers: () => [] })
  const order = createOrder(config, { clock, metrics, places: 6, usage: new MemoryUsage() })
  const members = WORKERS.map((id, index) => ({ name: { id, n: index + 1 } }))
  const pool = new Pool(members, { clock, random, maxLeases: 2, onRoom: (worker) => order.onRoom(worker) })
  for (const id of WORKERS) pool.setHealth(id, 'healthy')

  await using ends = new AsyncDisposableStack()
  const connects = new TestWorkers(WORKERS.length)
  for (const host of HOSTS) {
    const server = ends.use(await TestServer.http((_, response) => strangely(response, draw(12), oneOf(HOSTS))))
    connects.network.set(`${host}:80`, server.port)
  }
  const fetcher = new Fetcher({
    ...{ clock, random, order: order.order, verdictMs: 50, stallMs: 500 },
    identities: new Identities(Buffer.alloc(32, 1), () => systemRandom.bytes(32)),
    policy: createTargetPolicy(),
    source: poolSource(pool, connects, (owner, socket) => order.admission.watch(owner, socket)),
  })
  ends.use(fetcher)
  const live = new LiveRequests(clock)
  const requests = new RequestLog({ clock, random, logger: silentLogger, targets: 'off', watches: [live] })
  const told = { metrics, events: { record() {} } } as unknown as BackendParts['told']
  const parts = { clock, pool, fetcher, requests, metrics, told, admission: order.admission }
  const api = createBackend(parts as unknown as BackendParts)
  const proxy = createProxyBackend(parts as unknown as ProxyParts, undefined)

  const going = new Map<AbortController, Promise<void>>()
  /** What clients may do with their answers and tunnels. */
  const endings: (() => void)[] = []

  const begin = (ask: (signal: AbortSignal) => Promise<unknown>) => {
    const client = new AbortController()
    const settled = ask(client.signal)
      .catch((error: unknown) => assert.ok(error instanceof CbtorError && error.code !== 'internal', String(error)))
      .finally(() => going.delete(client))
    going.set(client, settled.then())
  }
  const routing = (): Routing => ({
    caller: { ...ANYBODY, id: oneOf(KEYS) },
    isolation: oneOf(['destination', 'request', 'none']),
    ...oneOf<Partial<Routing>>([
      {},
      {},
      { workerId: oneOf(WORKERS) },
      { stickyKey: oneOf(['s', 't']), onLoss: oneOf(['migrate', 'fail']) },
    ]),
  })
  const wanted = (methods: readonly string[]): FetchRequest =>
    fetchRequest(`http://${oneOf(HOSTS)}/`, {
      ...{ ...routing(), method: oneOf(methods), hedge: oneOf([true, false]), allowTruncated: oneOf([true, false]) },
      ...{ timeoutMs: 1_000 + draw(20_000), maxBytes: 200_000 },
    })
  const acts = [
    () => begin((signal) => api.fetch(wanted(['GET', 'POST', 'HEAD']), signal)),
    () =>
      begin(async (signal) => {
        const answer = await api.stream(wanted(['GET']), signal)
        oneOf([() => answer.body.destroy(), () => answer.body.resume(), () => {}])()
        await answer.ended
      }),
    () =>
      begin(async (signal) => {
        const tunnel = await proxy.openTunnel({ host: oneOf(HOSTS), port: 80, ...routing() }, {}, signal)
        const end = () => tunnel[Symbol.dispose]()
        tunnel.socket.once('close', end).resume().write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
        endings.push(end)
      }),
    () =>
      begin(async (signal) => {
        const request = { url: `http://${oneOf(HOSTS)}/`, ...routing(), method: 'GET', headers: [], body: undefined }
        const { body, ended } = await proxy.forward(request, signal)
        body.on('error', () => {}).once('close', () => ended({ outcome: 'ok', received: 0 }))
        oneOf([() => body.destroy(), () => body.resume()])()
        endings.push(() => body.destroy())
      }),
    () => oneOf([...going.keys(), undefined])?.abort(GONE),
    () => oneOf([...endings, undefined])?.(),
    () => {
      const id = oneOf(WORKERS)
      oneOf([
        () => pool.setHealth(id, 'dead'),
        () => pool.setHealth(id, 'healthy'),
        () => fetcher.abandonWorker(id, 'it died'),
        () => fetcher.abandonStalled(id, 'it hangs'),
        () => connects.faults.set(id, oneOf(FAULTS)),
        () => connects.faults.delete(id),
      ])()
    },
  ]
  const owned = ends.move()
  return {
    ...{ draw, clock, order, pool, fetcher, live, going, endings },
    act: () => oneOf(acts)(),
    async passUntilQuiet(): Promise<void> {
      for (let n = 0; n < 400 && going.size > 0; n++) {
        await clock.advance(500)
        await turns(3)
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Answers, redirects, stalls, breaks off, asks to be left alone. */
function strangely(response: ServerResponse, draw: number, host: string): void {
  const { socket } = response
  const begin = (then?: () => void) => response.writeHead(200, { 'content-length': 100 }).write('x', then)
  const ways: Readonly<Record<number, () => unknown>> = {
    0: () => socket?.destroy(),
    1: () => begin(),
    2: () => {},
    3: () => response.writeHead(302, { location: `http://${host}/` }).end(),
    4: () => response.writeHead(503, { 'retry-after': '1' }).end(),
    5: () => begin(() => socket?.destroy()),
    6: () => response.end(Buffer.alloc(300_000)),
    7: () => socket?.end('HTTP/1.1 200 OK\r\n\r\nall of it'),
  }
  void (ways[draw] ?? (() => response.end('ok')))()
}
