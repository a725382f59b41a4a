/**
 * The service, real but for its workers, which reach one slow site directly; in a process of its own, so that whoever loads it does
 * not slow it down. Takes its configuration and how slow the site is as JSON; prints where it is, and its key, as JSON.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseConfig } from '../../src/config/read-config.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { createService } from '../../src/service.ts'
import type { ConnectOptions, WorkerConnection } from '../../src/workers/driver.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'

const { config: document, slowMs } = JSON.parse(process.argv.at(-1) ?? '{}')
const random = seededRandom(1)
const site = createServer(async ({ headers: { host } }, response) => {
  // As targets are: so that places become free one by one, and not all at once.
  if (host !== 'check.test') await sleep(2 * slowMs * random.float())
  response.end('ok')
})
site.listen({ port: 0, host: '127.0.0.1', backlog: 2_048 })
await once(site, 'listening')
const { port } = site.address() as AddressInfo

/** All names are the site's. */
class SlowSiteDriver extends FakeDriver {
  override async connect(
    _target: Target,
    _identity: Identity,
    _signal: AbortSignal,
    { earlyData }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    if (earlyData !== undefined) socket.write(earlyData)
    return { socket, route: 'socks', exit: async () => undefined }
  }
}

const end = new AbortController()
process.on('SIGTERM', () => end.abort())
process.on('disconnect', () => end.abort()) // its parent has gone
const config = parseConfig({ checks: { clearnet: ['http://check.test/'], onion: [] }, ...document }, {})
const createDriver = (id: string) => new SlowSiteDriver({ id, targets: new Map(), exits: [] })
await using service = await createService(config, { createDriver }, end.signal)
await service.ready(AbortSignal.timeout(20_000))
process.send?.({ url: service.url, key: service.adminKey })
await once(end.signal, 'abort')
if (process.connected) process.disconnect()
site.close()
site.closeAllConnections()
