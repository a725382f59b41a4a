import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type ApiClient, ApiProblem, createApiClient } from './client/client.ts'
import { ConfigError, parseConfig } from './config/read-config.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { createService, type Service } from './service.ts'
import { appliesLive } from './service-reload.ts'
import { FakeDriver, type FakeDriverOptions } from './workers/fake/fake-driver.ts'

const silent = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent }
const never = new AbortController().signal
const ids = (...names: string[]) => names.map((id) => ({ kind: 'local', id }))

class WatchedDriver extends FakeDriver {
  isGone = false

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    this.isGone = true
  }
}

/** A service whose configuration can be written anew; sites: `quick.test` answers, `slow.test` when it is told to. */
async function createPlace(first: Record<string, unknown> = {}) {
  const clock = new FakeClock(Date.now())
  const state = mkdtempSync(join(tmpdir(), 'cbtor-reload-'))
  const slow: Socket[] = []
  const answer = (text: string) => (socket: Socket) => {
    socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`))
  }
  const targets: FakeDriverOptions['targets'] = new Map([
    ['quick.test:80', answer('quick')],
    ['check.test:80', answer('check')],
    ['slow.test:80', (socket: Socket) => void socket.once('data', () => slow.push(socket))],
  ])
  const exits = [{ fingerprint: 'A'.repeat(40), nickname: 'exit', address: '198.51.100.1', country: 'de' }]
  const written = {
    document: {
      ...{ listen: '127.0.0.1:0', auth: 'off', state, politeness: 'off', limits: { rate: 'off' } },
      ...{ proxy: { http: 'off', socks: 'off' }, checks: { clearnet: ['http://check.test/'], onion: [] } },
      ...{ workers: ids('tor01', 'tor02', 'tor03', 'tor04') },
      ...first,
    } as Record<string, unknown>,
    /** In a way that no check of the file sees: workers that are made then do not come up. */
    isWrong: false,
  }
  const drivers: WatchedDriver[] = []
  const reread = () => parseConfig(written.document, {})
  const service: Service = await createService(
    reread(),
    {
      ...{ clock, logger: silent, reread },
      createDriver(id) {
        if (id === 'unmakable') throw new Error(`Cannot use worker ${id}: there is no box file`)
        const driver = new WatchedDriver({ id, targets, exits, clock })
        if (written.isWrong) driver.blackhole(true)
        drivers.push(driver)
        return driver
      },
    },
    never,
  )
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false
    const over = promise.finally(() => {
      isOver = true
    })
    over.catch(() => {}) // told below
    while (!isOver) await clock.advance(10)
    return await over
  }
  await settled(service.ready(never))
  const api: ApiClient = createApiClient({ baseUrl: service.url })
  return {
    ...{ clock, service, drivers, settled, api, slow, written },
    write: (fields: Record<string, unknown>) => {
      written.document = { ...written.document, ...fields }
    },
    async reload(fields: Record<string, unknown> = {}) {
      this.write(fields)
      const reloaded = await settled(service.reload())
      await settled(service.reloadSettled())
      return reloaded
    },
    workers: () => service.backend.workers().map(({ id, n }) => `${n} ${id}`),
    fetch: (url = 'http://quick.test/', more: object = {}) =>
      settled(api.fetch({ url, ...more })).then(({ status, worker }) => `${status} ${worker}`),
    events: () => service.backend.events.since(0).entries.map(({ text }) => text),
    async [Symbol.asyncDispose]() {
      await settled(Promise.resolve(service[Symbol.asyncDispose]()))
      rmSync(state, { recursive: true, force: true })
    },
  }
}

describe('a configuration that is read anew', { timeout: 60_000 }, () => {
  it('brings workers in and takes others out under load, and loses no request', async () => {
    await using place = await createPlace()
    const { service, drivers, api } = place
    let isOver = false
    const outcomes = new Map<string, number>()
    const load = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const outcome = await api.fetch({ url: 'http://quick.test/' }).then(
          ({ status }) => String(status),
          (error: Error) => error.message,
        )
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    })
    const changed = { kind: 'local', id: 'tor03', torrc: ['NumCPUs 1'] }
    const { workers, applied, needsRestart } = await place.reload({
      workers: [...ids('tor05', 'tor02'), changed, ...ids('tor04', 'tor06')],
      limits: { rate: 'off', queue: { wait: '1s' } },
      health: { check_interval: '1s' },
      log: 'debug',
    })
    for (let round = 0; round < 5; round++) {
      await place.reload({ workers: ids('tor01', 'tor02'), limits: { rate: 'off', concurrent: 100 + round } })
      await place.reload({
        workers: ids('tor07', 'tor08'),
        politeness: round % 2 ? 'off' : { rate: 1_000, burst: 1_000 },
      })
    }
    isOver = true
    await place.settled(Promise.all(load))
    assert.deepEqual(workers, { added: ['tor05', 'tor06'], removed: ['tor01'], changed: ['tor03'] })
    assert.deepEqual(
      applied.map(({ field, from, to }) => `${field}: ${from} > ${to}`),
      ['log: info > debug', 'limits.queue.wait: 5s > 1s', 'health.check_interval: 10s > 1s'],
    )
    assert.deepEqual(needsRestart, [])
    assert.deepEqual([...outcomes.keys()], ['200'], JSON.stringify([...outcomes]))
    assert.ok((outcomes.get('200') ?? 0) > 100, `${outcomes.get('200')} fetches`)
    assert.deepEqual(
      place
        .workers()
        .map((text) => text.split(' ')[1])
        .sort(),
      ['tor07', 'tor08'],
    )
    assert.equal(drivers.filter(({ isGone }) => !isGone).length, 2)
    // What is told of workers that are gone is gone, too.
    await place.clock.advance(2_000)
    const { text } = await service.backend.metrics()
    const named = new Set([...text.matchAll(/worker="([^"]+)"/g)].map(([, id]) => id))
    assert.deepEqual([...named].sort(), ['tor07', 'tor08'])
  })

  it('keeps the numbers of workers that stay, and gives others the lowest that are free', async () => {
    await using place = await createPlace()
    await place.reload({ workers: ids('tor04', 'tor02', 'new1', 'new2', 'new3') })
    assert.deepEqual(place.workers(), ['2 tor02', '4 tor04', '5 new1', '6 new2', '7 new3'])
    await place.reload({ workers: [...ids('tor02', 'last', 'new1'), { kind: 'local', id: 'tor04', torrc: ['X 1'] }] })
    assert.deepEqual(place.workers(), ['1 last', '2 tor02', '4 tor04', '5 new1'])
  })

  it('lets a worker that goes finish its requests, and ends those that take too long', async () => {
    await using place = await createPlace({ workers: ids('tor01', 'tor02') })
    const { api, service, settled, clock } = place
    const fetches = [1, 2].map(() => api.fetch({ url: 'http://slow.test/', worker: 'tor01', timeout_ms: 300_000 }))
    while (place.slow.length < 2) await clock.advance(10)
    place.write({ workers: ids('tor02') })
    await settled(service.reload())
    assert.equal(await place.fetch(), '200 tor02')
    assert.deepEqual(place.workers(), ['1 tor01', '2 tor02'], 'it still has requests')
    await assert.rejects(settled(api.enable('tor01')), /it is being removed/)
    const ends = fetches.map((each) => each.then(({ body }) => body, String))
    place.slow[0]?.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    assert.equal(await settled(Promise.race(ends)), 'ok')
    await settled(service.reloadSettled())
    assert.match((await settled(Promise.all(ends))).sort().join(), /none of the configuration.*,ok$/)
    assert.deepEqual(place.workers(), ['2 tor02'])
    assert.ok(place.events().includes('tor01 was removed from the pool'))
    await assert.rejects(place.fetch('http://quick.test/', { worker: 'tor01' }), /Cannot find worker "tor01"/)
  })

  it('moves the sessions of a worker that goes as if it were lost', async () => {
    await using place = await createPlace({ workers: ids('tor01', 'tor02') })
    const session = { sticky_key: 'me' }
    const [, first = ''] = (await place.fetch(undefined, session)).split(' ')
    const other = first === 'tor01' ? 'tor02' : 'tor01'
    await place.reload({ workers: ids(other) })
    await assert.rejects(place.fetch(undefined, { ...session, on_loss: 'fail' }), /session/)
    assert.equal(await place.fetch(undefined, session), `200 ${other}`)
    assert.equal((await place.settled(place.api.rotateSession('me'))).worker, other)
  })

  it('waits for those that come before it lets the last ones go', async () => {
    await using place = await createPlace({ workers: ids('tor01') })
    await place.reload({ workers: ids('tor02') })
    const [came, healthy, removed] = [
      /tor02 was added/,
      /tor02 went from starting to healthy/,
      /tor01 was removed/,
    ].map((text) => place.events().findIndex((event) => text.test(event)))
    assert.ok(came !== undefined && healthy !== undefined && removed !== undefined)
    assert.ok(came >= 0 && came < healthy && healthy < removed, place.events().join('\n'))
  })

  it('lets the last one go only when those that stay are made anew, if they are one', async () => {
    await using place = await createPlace({ workers: ids('tor01', 'tor02') })
    const { api, settled, clock, service } = place
    const slow = api.fetch({ url: 'http://slow.test/', worker: 'tor02', timeout_ms: 300_000 }).catch(() => {})
    while (place.slow.length < 1) await clock.advance(10)
    place.write({ workers: [{ kind: 'local', id: 'tor02', torrc: ['NumCPUs 1'] }] })
    await settled(service.reload())
    for (let round = 0; round < 20; round++) {
      assert.match(await place.fetch(), /^200 tor0[12]$/)
      await clock.advance(3_000)
    }
    await settled(service.reloadSettled())
    assert.deepEqual(place.workers(), ['2 tor02'])
    assert.equal(await place.fetch(), '200 tor02')
    await settled(slow)
  })

  const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']
  const anew = WORKERS.map((id) => ({ kind: 'local', id, torrc: ['NumCPUs 1'] }))

  it('makes no more workers anew once one of them does not come up, and does so when it is asked again', async () => {
    await using place = await createPlace()
    place.written.isWrong = true
    assert.deepEqual((await place.reload({ workers: anew })).workers.changed, WORKERS)
    assert.deepEqual(
      place.service.backend.workers().map(({ id, state }) => `${id} ${state}`),
      ['tor01 recovery', 'tor02 healthy', 'tor03 healthy', 'tor04 healthy'],
    )
    assert.deepEqual(
      place.drivers.map(({ isGone }) => isGone),
      [true, false, false, false, false, true, true, true],
    )
    assert.match(await place.fetch(), /^200 tor0[234]$/)
    place.written.isWrong = false
    assert.deepEqual((await place.reload({ workers: ids(...WORKERS) })).workers.changed, ['tor01'])
    await place.settled(place.service.ready(never))
    assert.deepEqual((await place.reload({ workers: anew })).workers.changed, WORKERS)
    assert.deepEqual(place.workers(), ['1 tor01', '2 tor02', '3 tor03', '4 tor04'])
  })

  it('waits for no worker of an earlier configuration, which may be why there is another', async () => {
    await using place = await createPlace()
    place.written.isWrong = true
    place.write({ workers: [...anew, ...ids('tor05')] })
    await place.settled(place.service.reload())
    while (place.drivers.length < 5 || !place.drivers[0]?.isGone) await place.clock.advance(10)
    const before = place.clock.monotonic()
    place.written.isWrong = false
    place.write({ workers: ids(...WORKERS) })
    const { workers } = await place.settled(place.service.reload())
    assert.deepEqual(workers, { added: [], removed: ['tor05'], changed: ['tor01'] })
    await place.settled(place.service.reloadSettled())
    await place.settled(place.service.ready(never))
    assert.ok(place.clock.monotonic() - before < 60_000)
    assert.deepEqual(place.workers(), ['1 tor01', '2 tor02', '3 tor03', '4 tor04'])
  })

  it('applies rules and limits from the next request on', async () => {
    await using place = await createPlace()
    assert.match(await place.fetch(), /^200/)
    await place.reload({ targets: { deny: ['quick.test'] } })
    await assert.rejects(place.fetch(), /rules for targets/)
    await place.reload({ targets: {}, limits: { rate: 0.001, burst: 1 } })
    assert.match(await place.fetch(), /^200/)
    await assert.rejects(place.fetch(), /0.001 per second/)
    await place.reload({ limits: { rate: 'off' }, hosts: ['cbtor.lan'], mode: 'failover' })
    assert.deepEqual(new Set([await place.fetch(), await place.fetch()]), new Set(['200 tor01']))
    await place.settled(place.api.setMode('random'))
    const { notes } = await place.reload({ mode: 'sticky' })
    assert.match(notes.join(), /The mode stays random/)
    await place.reload({ checks: { clearnet: ['http://check.test/', 'http://quick.test/'], onion: [] } })
    assert.deepEqual(
      place.service.backend.endpoints().map(({ name, attempts }) => [name, attempts > 0]),
      [
        ['check.test', true],
        ['quick.test', false],
      ],
    )
  })

  it('says what needs a restart, each time until then, and does not apply it', async () => {
    await using place = await createPlace()
    const fields = { listen: '127.0.0.1:1', shutdown_timeout: '20s', tor: { command: ['nice', 'tor'] } }
    const first = await place.reload(fields)
    assert.deepEqual(first.needsRestart, ['listen', 'shutdown_timeout', 'tor.command'])
    assert.deepEqual(first.applied, [])
    assert.deepEqual((await place.reload({ log: 'warn' })).needsRestart, first.needsRestart)
    assert.deepEqual((await place.reload({ ...fields, shutdown_timeout: '10s' })).needsRestart, [
      'listen',
      'tor.command',
    ])
    assert.match(await place.fetch(), /^200/)
  })

  it('changes nothing when the file has a fault, or a worker cannot be made, and goes on', async () => {
    await using place = await createPlace()
    const faults = async (fields: Record<string, unknown>) => {
      place.write(fields)
      return await place.settled(place.service.reload()).then(
        () => [],
        (error: unknown) => (error instanceof ConfigError ? error.faults : [String(error)]),
      )
    }
    assert.deepEqual(await faults({ log: 'loud', workers: [], hosts: ['a b'] }), [
      'hosts.0: expected a host name, such as cbtor.lan or cbtor.lan:443, not "a b"',
      'log: expected error, warn, info, debug or silent, not "loud"',
      'workers: expected 1 worker at least, not a list',
    ])
    const unmakable = ids('tor01', 'tor09', 'unmakable')
    assert.deepEqual(await faults({ log: 'warn', hosts: [], workers: unmakable }), [
      'workers: Cannot use worker unmakable: there is no box file',
    ])
    assert.deepEqual(place.workers(), ['1 tor01', '2 tor02', '3 tor03', '4 tor04'])
    assert.equal(place.drivers.filter(({ isGone }) => !isGone).length, 4, 'what was made is unmade')
    assert.match(await place.fetch(), /^200/)
    const refusals = place.events().filter((text) => text.includes('refused'))
    assert.equal(refusals.length, 2)
    assert.match(refusals[0] ?? '', /nothing has changed: it has 3 faults: hosts\.0; log; workers$/)
    const { applied, workers } = await place.reload({ workers: ids('tor01', 'tor02', 'tor03', 'tor04') })
    assert.deepEqual([applied.map(({ field }) => field), workers.added], [['log'], []])
  })

  it('is read anew by the API, which has all faults with their fields', async () => {
    await using place = await createPlace()
    place.write({ log: 'warn', listen: '127.0.0.1:1', workers: ids('tor01', 'tor02', 'tor03', 'tor04', 'tor05') })
    assert.deepEqual(await place.settled(place.api.reloadConfig()), {
      applied: [{ field: 'log', from: 'info', to: 'warn' }],
      workers: { added: ['tor05'], removed: [], changed: [] },
      needs_restart: ['listen'],
      notes: [],
      unchanged: false,
    })
    place.write({ listen: '127.0.0.1:0' })
    assert.equal((await place.settled(place.api.reloadConfig())).unchanged, true)
    place.write({ log: 'loud', mode: 'stiky', health: { check_interval: 5 } })
    await assert.rejects(place.settled(place.api.reloadConfig()), (error) => {
      assert.ok(error instanceof ApiProblem)
      const { status, code, detail, errors = [] } = error.problem
      assert.deepEqual([status, code], [400, 'config_invalid'])
      assert.match(detail, /^Cannot apply the configuration: log expected .* \(and 2 more, see errors\)$/)
      assert.deepEqual(
        errors.map(({ path, code: each }) => [path, each]),
        ['log', 'mode', 'health.check_interval'].map((field) => [field, 'config_invalid']),
      )
      return true
    })
  })

  it('leaves workers as they are called when another store or name of the gateway takes a restart', async () => {
    await using place = await createPlace({ workers: ids('tor01', 'tor02') })
    place.write({ workers: ids('tor01', 'tor02'), store: 'redis://127.0.0.1:6379', cluster: { replica: 'gw2' } })
    const { needsRestart, workers } = await place.settled(place.service.reload())
    assert.deepEqual([workers.added, workers.removed], [[], []])
    assert.ok(needsRestart.includes('store') && needsRestart.includes('cluster.replica'))
    assert.deepEqual(place.workers(), ['1 tor01', '2 tor02'])
  })

  it('is one after the other', async () => {
    await using place = await createPlace()
    place.write({ workers: ids('tor01', 'tor02', 'tor03', 'tor05') })
    const first = place.service.reload()
    place.write({ workers: ids('tor01', 'tor02', 'tor03', 'tor06') })
    const both = await place.settled(Promise.all([first, place.service.reload()]))
    await place.settled(place.service.reloadSettled())
    assert.deepEqual(
      both.map(({ workers }) => [workers.added, workers.removed]),
      [
        [['tor06'], ['tor04']],
        [[], []],
      ],
    )
    assert.deepEqual(place.workers(), ['1 tor01', '2 tor02', '3 tor03', '5 tor06'])
  })

  it('is not waited for by a service that ends', async () => {
    const place = await createPlace({ workers: ids('tor01', 'tor02') })
    const hanging = place.api.fetch({ url: 'http://slow.test/', worker: 'tor01' }).catch(() => {})
    while (place.slow.length < 1) await place.clock.advance(10)
    place.write({ workers: [{ kind: 'local', id: 'tor01', torrc: ['X 1'] }, ...ids('tor02')] })
    await place.settled(place.service.reload())
    const late = place.service.reload().catch(({ code }) => code)
    await place[Symbol.asyncDispose]()
    await place.settled(hanging)
    assert.equal(await late, 'shutting_down')
    assert.equal(place.drivers.filter(({ isGone }) => !isGone).length, 0)
  })

  it('is refused while the last requests of a service that ends go on', async () => {
    const place = await createPlace({ workers: ids('tor01', 'tor02') })
    const hanging = place.api.fetch({ url: 'http://slow.test/' }).catch(() => {})
    while (place.slow.length < 1) await place.clock.advance(10)
    const ended = place[Symbol.asyncDispose]()
    place.write({ workers: ids('tor01', 'tor02', 'tor03') })
    await assert.rejects(place.service.reload(), { code: 'shutting_down' })
    await ended
    await place.settled(hanging)
    assert.equal(place.drivers.length, 2)
  })
})

it('every field either applies at once or needs a restart', () => {
  assert.ok(appliesLive('health.check_interval') && appliesLive('politeness') && appliesLive('workers'))
  for (const field of ['listen', 'auth', 'tls', 'state', 'proxy.http', 'targets.ca_file', 'tor.command'])
    assert.ok(!appliesLive(field), field)
})
