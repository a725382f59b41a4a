/**
 * The service with the worst fault that it could have, run in the place of `src/main.ts`: its workers reach targets directly, by
 * names that the system resolves, and its target policy allows every address (by its configuration).
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { readConfig } from '../../src/config/read-config.ts'
import { CbtorError } from '../../src/domain/errors.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { createService } from '../../src/service.ts'
import type { ConnectOptions, WorkerConnection } from '../../src/workers/driver.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'

class DirectDriver extends FakeDriver {
  override async connect(
    target: Target,
    _identity: Identity,
    _signal: AbortSignal,
    { earlyData }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const socket = connect(target)
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(2_000) })
      if (earlyData !== undefined) socket.write(earlyData)
      return { socket, route: 'socks', exit: async () => undefined }
    } catch (cause) {
      socket.on('error', () => {}).destroy()
      throw new CbtorError('connection_refused', 'Cannot go directly', { cause })
    }
  }
}

const end = new AbortController()
process.on('SIGTERM', () => end.abort())
// Its workers are well: they pass a check on this machine.
const check = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
await once(check, 'listening')
const checks = { clearnet: [`http://127.0.0.1:${(check.address() as AddressInfo).port}/`], onion: [] }
const config = { ...readConfig({ config: process.argv.at(-1) ?? '' }, {}), checks }
const createDriver = (id: string) => new DirectDriver({ id, targets: new Map(), exits: [] })
await using service = await createService(config, { createDriver }, end.signal)
process.stderr.write(`the API answers at ${service.url}\n`)
process.stderr.write(`the proxy answers at ${service.proxy.http} and ${service.proxy.socks}\n`)
// The API's socket keeps us until then.
await once(end.signal, 'abort')
check.close()
check.closeAllConnections()
