/**
 * One replica as a whole, with workers that answer at once: a part of `main.ts`, in a process of its own. Takes the number of workers,
 * the socket of the site that checks fetch from, and further fields of its configuration as JSON. Prints `ready`, and for each line that it is sent the processor time that it has used and
 * its memory, as JSON.
 */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseConfig } from '../../src/config/read-config.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { createService } from '../../src/service.ts'
import type { ConnectOptions, WorkerConnection } from '../../src/workers/driver.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import { workerIds } from './simulated.ts'

const [count, site = '', further = '{}'] = process.argv.slice(2)
const state = mkdtempSync(join(tmpdir(), 'cbtor-replica-'))
const ids = workerIds(Number(count))
const config = parseConfig(
  {
    ...{
      state,
      listen: `unix:${join(state, 'api.sock')}`,
      auth: 'off',
      log: 'silent',
      proxy: { http: 'off', socks: 'off' },
    },
    // Of a kind that several replicas reach.
    workers: ids.map((id) => ({ kind: 'external', id, socks: '127.0.0.1:9' })),
    checks: { clearnet: ['http://check.cbtor.test/'], onion: [] },
    ...(JSON.parse(further) as object),
  },
  {},
)

/** A connection is one socket here, as it is with a Tor; who answers is in another process. */
class SiteDriver extends FakeDriver {
  override async connect(
    _target: Target,
    _identity: Identity,
    signal: AbortSignal,
    { earlyData }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const socket = connect(site)
    await once(socket, 'connect', { signal })
    if (earlyData !== undefined) socket.write(earlyData)
    return { socket, route: 'socks', exit: async () => undefined }
  }
}

const end = new AbortController()
{
  await using service = await createService(
    config,
    { createDriver: (id) => new SiteDriver({ id, targets: new Map(), exits: [] }) },
    end.signal,
  )
  await service.ready(AbortSignal.timeout(60_000))
  process.stdout.write('"ready"\n')
  for await (const _ of createInterface(process.stdin)) {
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    const told = { cpuMs: (user + system) / 1_000, residentMb: rss / 1e6, heapMb: heapUsed / 1e6 }
    process.stdout.write(`${JSON.stringify(told)}\n`)
  }
}
rmSync(state, { recursive: true, force: true })
