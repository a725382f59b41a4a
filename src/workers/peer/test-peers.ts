import { randomBytes } from 'node:crypto'
import { workerPortKey } from '../../cluster/worker-port/secured.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/log.ts'
import { PeerDriver, type PeerDriverOptions } from './peer-driver.ts'
import { WorkerPort, type WorkerPortOptions } from './worker-port.ts'

/** A worker port of `gw2` at a port of this machine, and drivers for what it offers. */
export async function openTestPort(options: Partial<WorkerPortOptions> = {}) {
  const secret = options.secret ?? randomBytes(32)
  const port = new WorkerPort({ replica: 'gw2', secret, clock: systemClock, logger: silentLogger, ...options })
  const at = await port.listen({ host: '127.0.0.1', port: 0 })
  return {
    port,
    at,
    secret,
    peer: (id: string, others: Partial<PeerDriverOptions> = {}) =>
      new PeerDriver({
        ...{ id, replica: 'gw2', self: 'gw1', at: () => at, key: workerPortKey(secret) },
        ...{ clock: systemClock, logger: silentLogger },
        ...others,
      }),
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
  }
}
