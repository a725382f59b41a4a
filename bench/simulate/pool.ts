/**
 * The real pool and the real watch over it, with workers that answer at once: a part of `main.ts`, in a process of its own. Takes the
 * number of workers and the seconds of each measurement.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseConfig } from '../../src/config/read-config.ts'
import type { Mode } from '../../src/domain/exchange.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { seededRandom, systemRandom } from '../../src/lib/random.ts'
import { ServiceEvents } from '../../src/service-events.ts'
import { createWorkers } from '../../src/service-workers.ts'
import { SqliteStore } from '../../src/store/sqlite-store.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import { quantile } from '../lib/stats.ts'
import { isBroken, MODES_MEASURED, type PoolFigures, workerIds } from './simulated.ts'

/** Choices that are to be made. */
const PER_SECOND = 2_000
/** How long a request holds its worker. */
const HELD_MS = 250
const TICK_MS = 5

const workers = Number(process.argv[2])
const seconds = Number(process.argv[3])
const random = seededRandom(3)
const clock = systemClock
const state = mkdtempSync(join(tmpdir(), 'cbtor-simulate-'))
const config = parseConfig(
  { state, log: 'silent', workers: workerIds(workers).map((id) => ({ kind: 'local', id })) },
  {},
)

await using parts = new AsyncDisposableStack()
parts.defer(() => rmSync(state, { recursive: true, force: true }))
const store = parts.use(new SqliteStore(join(state, 'cbtor.db')))
const told = parts.use(new ServiceEvents({ clock, logger: createLogger('silent'), workers: () => [] }))
const watched = parts.use(
  createWorkers(config, {
    ...{ clock, random: systemRandom, store, told },
    createDriver: ({ id }) => new FakeDriver({ id, targets: new Map(), exits: [] }),
    async probe(id, signal) {
      await clock.sleep(50 + random.float() * 400, signal)
      return isBroken(id) && isUnderWay ? { verdict: 'failed', reason: 'it is broken' } : { verdict: 'passed' }
    },
    traffic: () => ({ abandonWorker() {}, abandonStalled() {}, trustAgain() {} }),
    onRoom() {},
    onRemoved() {},
  }),
)
let isUnderWay = false
watched.start()
await watched.allHealthy(AbortSignal.timeout(60_000))
isUnderWay = true
await sleep(15_000) // the first checks are all at once, and the broken ones have to be found out

const before = process.cpuUsage()
const from = performance.now()
await sleep(seconds * 1_000)
const used = process.cpuUsage(before)
const healthShare = (used.user + used.system) / 1_000 / (performance.now() - from)

const lag = monitorEventLoopDelay({ resolution: 5 })
const placed = new Map<Mode, Placed>()
for (const mode of MODES_MEASURED) {
  await place(mode, 1) // compiled by then
  lag.enable()
  placed.set(mode, await place(mode, seconds / 2))
  lag.disable()
}
const percentiles = (of: (figures: Placed) => readonly number[]) =>
  Object.fromEntries(
    [...placed].map(([mode, each]) => [mode, { p50: quantile(of(each), 0.5), p99: quantile(of(each), 0.99) }]),
  ) as PoolFigures['picks']
const result: PoolFigures = {
  ...{ workers, healthShare, lagP99: lag.percentile(99) / 1e6 - TICK_MS },
  picks: percentiles(({ picks }) => picks),
  ends: percentiles(({ ends }) => ends),
  perSecond: Math.min(...[...placed.values()].map(({ perSecond }) => perSecond)),
}
process.stdout.write(`${JSON.stringify(result)}\n`)

/** Microseconds of each. */
interface Placed {
  readonly picks: number[]
  readonly ends: number[]
  readonly perSecond: number
}

/** Places requests as they would come: some each few milliseconds, each held for a while. */
async function place(mode: Mode, forSeconds: number): Promise<Placed> {
  const picks: number[] = []
  const ends: number[] = []
  const underWay: (() => void)[][] = []
  const startedAt = performance.now()
  for (let passed = 0; passed < forSeconds * 1_000; passed = performance.now() - startedAt) {
    const ending: (() => void)[] = []
    for (const due = (passed / 1_000) * PER_SECOND; picks.length < due; ) ending.push(request(mode, picks, ends))
    underWay.push(ending)
    if (underWay.length > HELD_MS / TICK_MS) for (const end of underWay.shift() ?? []) end()
    await sleep(TICK_MS)
  }
  for (const end of underWay.flat()) end()
  return { picks, ends, perSecond: picks.length / ((performance.now() - startedAt) / 1_000) }
}

/** To be called when it ends. */
function request(mode: Mode, picks: number[], ends: number[]): () => void {
  const host = `site${random.int(5_000)}.cbtor.test`
  const began = performance.now()
  const lease = watched.pool.acquire({ key: host, mode })
  picks.push((performance.now() - began) * 1_000)
  return () => {
    const from = performance.now()
    lease.member.report(random.float() < 0.98 ? 'ok' : 'tor_timeout', { host, port: 80 })
    lease[Symbol.dispose]()
    ends.push((performance.now() - from) * 1_000)
  }
}
