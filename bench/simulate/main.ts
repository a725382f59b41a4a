/**
 * What a pool costs at 10, 100 and 1,000 workers: the real pool, the real watch over it, and whole replicas with and without a store that
 * they share. Workers answer at once, so that what is measured is ours.
 *
 *   npm run bench -- simulate                        10, 100 and 1,000 workers, some 8 minutes; writes bench/results/simulate.md
 *   npm run bench -- simulate --sizes 10,50          these
 *   npm run bench -- simulate --seconds 5            of each measurement, rather than 20
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startValkey, type Valkey } from '../../test/valkey.ts'
import { commitText, machineText } from '../lib/machine.ts'
import { nodeFlags } from '../lib/node-flags.ts'
import { cpuSeconds } from '../stage/room.ts'
import { ROOT } from '../stage/root.ts'
import { MODES_MEASURED, type PoolFigures, type ReplicaFigures, type StoreFigures } from './simulated.ts'
import { type Goal, goalLines, poolLines, replicaLines } from './tables.ts'

const REPLICAS = 3
/** The first checks come all at once, and V8 gives back what a start took. */
const SETTLE_MS = 25_000

const { values } = parseArgs({
  options: { sizes: { type: 'string' }, seconds: { type: 'string', default: '20' } },
})
const sizes = (values.sizes ?? '10,100,1000').split(',').map(Number)
const seconds = Number(values.seconds)
if (sizes.some((size) => !(size >= 1)) || !(seconds > 0)) {
  say('bench: --sizes takes numbers of workers, such as 10,100, and --seconds a number above 0')
  process.exit(2)
}

const startedAt = performance.now()
const pools: PoolFigures[] = []
const replicas: ReplicaFigures[] = []
for (const workers of sizes) {
  say(`bench: ${workers} workers: the pool`)
  pools.push(await measurePool(workers))
  say(`bench: ${workers} workers: a replica alone`)
  replicas.push(await measureReplicas(workers, 1))
  say(`bench: ${workers} workers: ${REPLICAS} replicas with a store`)
  replicas.push(await measureReplicas(workers, REPLICAS))
}
const largest = pools.at(-1)
const cluster = replicas.at(-1)
const goals: Goal[] = [
  {
    what: `a choice at ${largest?.workers} workers and 2,000 a second, p99 of the slowest mode; µs`,
    most: 50,
    got: Math.max(...MODES_MEASURED.map((mode) => largest?.picks[mode].p99 ?? Number.NaN)),
  },
  { what: 'the watch over them, of one core; %', most: 10, got: 100 * (largest?.healthShare ?? Number.NaN) },
  { what: `memory of one of ${REPLICAS} replicas; MB`, most: 300, got: cluster?.residentMb ?? Number.NaN },
]
const lines = [...goalLines(goals), '', ...poolLines(pools), '', ...replicaLines(replicas)]
process.stdout.write(`\n${lines.join('\n')}\n`)
say(`bench: took ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`)
if (values.sizes === undefined && seconds >= 20) write()
process.exitCode = goals.every(({ most, got }) => got <= most) ? 0 : 1

async function measurePool(workers: number): Promise<PoolFigures> {
  const child = start('pool.ts', [`${workers}`, `${seconds}`])
  const [line] = await Promise.all([first(child), once(child, 'exit')])
  return line as PoolFigures
}

/** What one of them costs while it has nothing to do but to watch over its workers, and what the store does meanwhile. */
async function measureReplicas(workers: number, count: number): Promise<ReplicaFigures> {
  await using parts = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-simulate-'))
  parts.defer(() => rmSync(directory, { recursive: true, force: true }))
  const site = createServer((_, response) => void response.end('ok')).listen(join(directory, 'site.sock'))
  parts.defer(() => {
    site.close()
    site.closeAllConnections()
  })
  const store = count === 1 ? undefined : parts.use(await startValkey())
  const children = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const secret = { replica: `gw${n + 1}`, secret_file: join(directory, 'pool-secret') }
      const config = store && { store: store.url, cluster: secret }
      const child = start('replica.ts', [`${workers}`, join(directory, 'site.sock'), JSON.stringify(config ?? {})])
      parts.defer(async () => {
        if (child.exitCode !== null) return
        child.stdin.end()
        await once(child, 'exit')
      })
      await first(child)
      return child
    }),
  )
  await sleep(SETTLE_MS)
  const ask = () =>
    Promise.all(
      children.map(async (child) => {
        child.stdin.write('\n')
        return (await first(child)) as Told
      }),
    )
  const from = performance.now()
  const [before, storeBefore] = await Promise.all([ask(), store && factsOf(store)])
  await sleep(seconds * 1_000)
  const [after, storeAfter] = await Promise.all([ask(), store && factsOf(store)])
  const passedMs = performance.now() - from
  const shares = after.map(({ cpuMs }, n) => (cpuMs - (before[n]?.cpuMs ?? 0)) / passedMs)
  return {
    ...{ workers, replicas: count },
    idleShare: Math.max(...shares),
    residentMb: Math.max(...after.map(({ residentMb }) => residentMb)),
    heapMb: Math.max(...after.map(({ heapMb }) => heapMb)),
    store: storeBefore && storeAfter && storeFigures(storeBefore, storeAfter, passedMs),
  }
}

interface Told {
  readonly cpuMs: number
  readonly residentMb: number
  readonly heapMb: number
}

type StoreFacts = { readonly [K in 'cpuMs' | 'commands' | 'bytes' | 'memory']: number }

async function factsOf(store: Valkey): Promise<StoreFacts> {
  const text = await store.cli('INFO')
  const of = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1])
  return {
    cpuMs: cpuSeconds(store.pid) * 1_000,
    commands: of('total_commands_processed'),
    bytes: of('total_net_input_bytes') + of('total_net_output_bytes'),
    memory: of('used_memory'),
  }
}

function storeFigures(before: StoreFacts, after: StoreFacts, passedMs: number): StoreFigures {
  return {
    share: (after.cpuMs - before.cpuMs) / passedMs,
    commandsPerSecond: ((after.commands - before.commands) / passedMs) * 1_000,
    kbPerSecond: (after.bytes - before.bytes) / passedMs,
    mb: after.memory / 1e6,
  }
}

/** As `npm start` runs the service. */
function start(part: string, args: readonly string[]) {
  return spawn(process.execPath, [...nodeFlags(), join(ROOT, 'bench', 'simulate', part), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

/** The next line that it prints. Rejects when it ends before. */
async function first(child: ReturnType<typeof start>): Promise<unknown> {
  const lines = createInterface(child.stdout)
  for await (const line of lines) {
    lines.close()
    return JSON.parse(line)
  }
  throw new Error('A part of the simulation has ended before it said anything')
}

function write(): void {
  const results = join(ROOT, 'bench', 'results')
  mkdirSync(results, { recursive: true })
  const at = new Date().toISOString().slice(0, 16).replace('T', ' ')
  const head = [
    '# What a pool costs',
    '',
    `${at}, commit ${commitText()}, ${machineText()}. By \`npm run bench -- simulate\`: real pool, watch, gateways and store; workers that`,
    'answer at once.',
    '',
  ]
  writeFileSync(join(results, 'simulate.md'), [...head, ...lines, ''].join('\n'))
}

function say(what: string): void {
  process.stderr.write(`${what}\n`)
}
