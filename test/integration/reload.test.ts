import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { demoConfig } from '../../src/cli/commands/demo.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { showConfig } from '../../src/config/show-config.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { eventually } from '../asking.ts'
import { withoutKeys, withoutLimits } from './lab.ts'

describe('cbtor up at SIGHUP', { timeout: 240_000 }, () => {
  const ends = new AsyncDisposableStack()
  let network: TorNetwork
  let file: string
  let document: { workers: { kind: string; id: string; torrc: string[] }[]; [field: string]: unknown }
  let up: ChildProcess
  let said = ''
  let api: ApiClient

  before(async () => {
    network = ends.use(await TorNetwork.create())
    file = join(network.directory, 'cbtor.yaml')
    const config = withoutLimits(withoutKeys(demoConfig(network, '127.0.0.1:0', join(network.directory, 'state'))))
    document = parse(showConfig({ config, document: {}, file, isEmpty: false, placeOf: () => undefined }))
    document.log = 'info'
    document.log_format = 'json'
    write({ workers: document.workers.slice(0, 2) })
    up = spawn(process.execPath, ['src/main.ts', 'up', '--config', file], {
      env: { PATH: process.env.PATH, HOME: network.directory },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    ends.defer(async () => {
      if (up.exitCode === null && up.signalCode === null) {
        up.kill('SIGKILL')
        await once(up, 'exit')
      }
    })
    up.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await eventually(async () => /the API answers at/.test(said))
    api = createApiClient({ baseUrl: /the API answers at (\S+)/.exec(said)?.[1] ?? '' })
    await eventually(async () => (await api.health()).receiving_traffic === 2)
  })
  after(() => ends.disposeAsync())

  function write(changes: Record<string, unknown>): void {
    document = { ...document, ...changes }
    writeFileSync(file, stringify(document))
  }

  it('changes workers under load: no request fails, and no tor of the removed one is left', async () => {
    const [first, second] = document.workers
    assert.ok(first && second)
    const { process: ofFirst } = await api.worker(first.id)
    assert.ok(ofFirst.pid !== null && existsSync(`/proc/${ofFirst.pid}`))
    let isOver = false
    const outcomes = new Map<string, number>()
    const load = Array.from({ length: 6 }, async () => {
      while (!isOver) {
        const outcome = await api.fetch({ url: network.urls.www, timeout_ms: 60_000 }).then(
          ({ status }) => String(status),
          (error: Error) => error.message,
        )
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    })
    await eventually(async () => (outcomes.get('200') ?? 0) > 20)

    const third = { ...second, id: 'third' }
    const renewed = { ...second, torrc: [...second.torrc, 'MaxCircuitDirtiness 300'] }
    write({ workers: [third, renewed], health: { ...(document.health as object), check_interval: '1s' } })
    up.kill('SIGHUP')
    await eventually(async () => {
      const { workers } = await api.workers()
      const isThere = (id: string) => workers.some((each) => each.id === id && each.state === 'healthy')
      return workers.length === 2 && isThere('third') && isThere(second.id) && /"worker_removed".*\n.*/.test(said)
    }, 120_000)
    await eventually(async () => said.split('"worker_removed"').length === 3, 120_000)
    await eventually(async () => (await api.worker(second.id)).state === 'healthy', 120_000)
    const before = outcomes.get('200') ?? 0
    await eventually(async () => (outcomes.get('200') ?? 0) > before + 20)
    isOver = true
    await Promise.all(load)

    assert.deepEqual([...outcomes.keys()], ['200'], JSON.stringify([...outcomes]))
    assert.ok(!existsSync(`/proc/${ofFirst.pid}`), 'its tor is gone')
    const torrc = readFileSync(join(network.directory, 'state', 'workers', second.id, 'torrc'), 'utf8')
    assert.match(torrc, /MaxCircuitDirtiness 300/)
  })

  it('says what is wrong with a file, and goes on as it was', async () => {
    write({ log: 'loud' })
    up.kill('SIGHUP')
    await eventually(async () => /the configuration is not applied/.test(said))
    const line =
      readFileSync(file, 'utf8')
        .split('\n')
        .findIndex((text) => text.startsWith('log:')) + 1
    assert.ok(said.includes(`${file}:${line}:6: log: expected error, warn, info, debug or silent, not "loud"`), said)
    assert.equal((await api.fetch({ url: network.urls.www, timeout_ms: 60_000 })).status, 200)
    write({ log: 'info' })
  })

  it('leaves no tor when it ends', async () => {
    const { workers } = await api.workers()
    const pids = workers.flatMap(({ process: { pid } }) => (pid === null ? [] : [pid]))
    assert.equal(pids.length, 2)
    up.kill('SIGTERM')
    const [code] = await Promise.race([once(up, 'exit'), sleep(30_000, ['still there'], { ref: false })])
    assert.equal(code, 0)
    assert.deepEqual(
      pids.filter((pid) => existsSync(`/proc/${pid}`)),
      [],
    )
  })
})
