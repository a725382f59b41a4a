/**
 * What one greedy key does to the others, and how quickly it is refused: at 10 times what the service can do, for each thing that
 * can be used up. The service is real but for its workers, and runs in a process of its own.
 *
 *   node bench/overload.ts [seconds of each]
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  type Answer,
  codesOf,
  isRefused,
  isServed,
  quantile,
  share,
  startOverloadLab,
} from '../test/integration/overload-lab.ts'

interface Scenario {
  readonly name: string
  readonly slowMs: number
  readonly config: Readonly<Record<string, unknown>>
  readonly greedy: { readonly perSecond: number; readonly limits?: Readonly<Record<string, number>> }
  readonly modest: { readonly perSecond: number }
  readonly hosts: readonly [greedy: string, modest: string]
}

const NO_LIMITS = { rate: 'off', concurrent: 'off' }
/** Of one worker. */
const PLACES = 128

/** What `queue.wait` is, less what timers are early by: who waited for so long was not refused at once. */
const WAIT_MS = 4_990

const [seconds = '10'] = process.argv.slice(2)
const ms = Number(seconds) * 1_000

const SCENARIOS: readonly Scenario[] = [
  {
    // 16 requests per second
    ...{ name: 'the pool is full', slowMs: 8_000, config: { limits: NO_LIMITS, politeness: 'off' } },
    greedy: { perSecond: (10 * PLACES) / 8 },
    modest: { perSecond: 1 },
    hosts: ['a.test', 'b.test'],
  },
  {
    ...{ name: 'rate of the key', slowMs: 20, config: { politeness: 'off' } },
    greedy: { perSecond: 150, limits: { rate: 15, burst: 15 } },
    modest: { perSecond: 5 },
    hosts: ['a.test', 'b.test'],
  },
  {
    ...{ name: 'concurrency of the key', slowMs: 600, config: { limits: { rate: 'off' }, politeness: 'off' } },
    greedy: { perSecond: 150, limits: { concurrent: 9 } },
    modest: { perSecond: 5 },
    hosts: ['a.test', 'b.test'],
  },
  {
    // 2 requests per second to one host
    ...{ name: 'politeness, one host of both', slowMs: 20, config: { limits: NO_LIMITS } },
    greedy: { perSecond: 20 },
    modest: { perSecond: 0.5 },
    hosts: ['a.test', 'a.test'],
  },
  {
    ...{ name: 'politeness, a crowd of one host', slowMs: 20, config: { limits: NO_LIMITS } },
    greedy: { perSecond: 150 },
    modest: { perSecond: 1 },
    hosts: ['a.test', 'b.test'],
  },
]

for (const scenario of SCENARIOS) {
  await using lab = await startOverloadLab(scenario.slowMs, scenario.config)
  const greedy = await lab.client('greedy', scenario.greedy.limits)
  const modest = await lab.client('modest')
  const [greedyUrl, modestUrl] = scenario.hosts.map((host) => `http://${host}/`)
  // The first requests are of a program that is not compiled yet.
  await (await lab.client('first')).load(50, 2_000, { url: 'not a url' })
  const lag = monitorEventLoopDelay({ resolution: 5 })
  lag.enable()
  const [ofGreedy, ofModest] = await Promise.all([
    greedy.load(scenario.greedy.perSecond, ms, { url: greedyUrl }),
    modest.load(scenario.modest.perSecond, ms, { url: modestUrl }),
  ])
  lag.disable()
  const refused = ofGreedy.filter(isRefused)
  const inLine = refused.filter((answer) => answer.ms >= WAIT_MS)
  const atOnce = refused.filter((answer) => answer.ms < WAIT_MS)
  print(`${scenario.name}: greedy ${scenario.greedy.perSecond}/s, modest ${scenario.modest.perSecond}/s`)
  print(`  greedy: ${said(ofGreedy)}`)
  print(
    `    refused at once: ${times(atOnce)} (this program itself is late by ${(lag.percentile(99) / 1e6).toFixed(1)} ms, p99); after a wait in line: ${inLine.length}`,
  )
  print(
    `  modest: ${(100 * share(ofModest, isServed)).toFixed(1)} % served, ${times(ofModest)}, of which in line p50 ${inLineMs(ofModest, 0.5)}, p99 ${inLineMs(ofModest, 0.99)}`,
  )
  print(`    ${said(ofModest)}`)
}

function said(answers: readonly Answer[]): string {
  return Object.entries(codesOf(answers))
    .map(([code, count]) => `${count} ${code}`)
    .join(', ')
}

function inLineMs(answers: readonly Answer[], q: number): string {
  return `${quantile(answers.filter(isServed), q, 'queueMs').toFixed(0)} ms`
}

function times(answers: readonly Answer[]): string {
  if (answers.length === 0) return 'none'
  const [p50, p99] = [0.5, 0.99].map((q) => quantile(answers, q).toFixed(1))
  const soon = (100 * share(answers, (answer) => answer.ms <= 50)).toFixed(1)
  return `${answers.length}, p50 ${p50} ms, p99 ${p99} ms, ${soon} % within 50 ms`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
