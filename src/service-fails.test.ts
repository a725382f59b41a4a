/** A gateway of a pool that cannot start. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { eventually } from '../test/asking.ts'
import { startValkey } from '../test/valkey.ts'
import { parseConfig } from './config/read-config.ts'
import { silentLogger } from './lib/log.ts'
import { createService } from './service.ts'
import { FakeDriver } from './workers/fake/fake-driver.ts'

it('a gateway whose worker port is taken says so, and leaves no connection behind', { timeout: 60_000 }, async () => {
  await using store = await startValkey()
  const state = mkdtempSync(join(tmpdir(), 'cbtor-fails-'))
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const config = parseConfig(
    {
      ...{ listen: '127.0.0.1:0', state, log: 'silent', store: store.url, proxy: { http: 'off', socks: 'off' } },
      cluster: { replica: 'gw1', secret_file: join(state, 'secret'), worker_port: `127.0.0.1:${port}` },
      workers: [{ kind: 'external', id: 'tor01', socks: '127.0.0.1:9050' }],
    },
    {},
  )
  const createDriver = (id: string) => new FakeDriver({ id, targets: new Map(), exits: [] })
  try {
    const starting = createService(config, { createDriver, logger: silentLogger }, AbortSignal.timeout(30_000))
    await assert.rejects(starting, new RegExp(`Cannot open the worker port at 127.0.0.1, port ${port}`))
    // The one that asks.
    await eventually(async () => (await store.cli('CLIENT', 'LIST')).trim().split('\n').length === 1)
  } finally {
    taken.close()
    rmSync(state, { recursive: true })
  }
})
