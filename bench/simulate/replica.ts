/**
 * One replica as a whole, with workers that answer at once: a part of `main.ts`, in a process of its own. Takes the number of workers,
 * its name, and further fields of its configuration as JSON. Prints `ready`, and for each line that it is sent the processor time that it has used and
 * its memory, as JSON.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService } from '../../src/service.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import { workerIds } from './simulated.ts'

const [count, further = '{}'] = process.argv.slice(2)
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
const targets = new Map([['check.cbtor.test:80', answer]])
const end = new AbortController()
{
  await using service = await createService(
    config,
    { createDriver: (id) => new FakeDriver({ id, targets, exits: [] }) },
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

function answer(far: Socket): void {
  far.once('data', () => far.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'))
}
