/**
 * What an open page does to a browser's memory: with a simulated service of many workers that fail and come back, and requests all
 * the time. After each collection of garbage it notes the JavaScript heap, the nodes and the listeners; what matters is the growth from the
 * second tenth of the time (when lists and the 15 minutes of the chart are filling up) to the last.
 *
 *   script/build-page && node bench/dashboard.ts [--minutes 60] [--workers 200] [--section overview]
 *
 * With `--section tour` it goes from section to section all the time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { CDPSession, Page } from 'playwright-core'
import { launchBrowser } from '../test/dashboard/browser.ts'
import { enter, go, SECTIONS } from '../test/dashboard/page-use.ts'
import { startSimulation } from '../test/dashboard/simulated-service.ts'

interface Sample {
  readonly minute: number
  readonly heapMb: number
  readonly nodes: number
  readonly listeners: number
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    workers: { type: 'string', default: '200' },
    section: { type: 'string', default: 'overview' },
  },
})
const minutes = Number(values.minutes)
const everyMs = Math.max(2_000, (minutes * 60_000) / 60)

await using service = await startSimulation({
  ...{ workers: Number(values.workers), traffic: 10, troubleEveryMs: 5_000, bootMs: 1_500 },
})
await using browser = await launchBrowser()
const { page, complaints } = await browser.open()
await enter(page, service.url, service.adminKey, values.section === 'tour' ? 'overview' : values.section)
const session = await page.context().newCDPSession(page)
await session.send('Performance.enable')

print('minute  heap MB   nodes  listeners')
const samples: Sample[] = []
const startedAt = performance.now()
const passed = () => (performance.now() - startedAt) / 60_000
for (let round = 0; passed() < minutes; round++) {
  await rest(page, round)
  const sample = await measure(session)
  samples.push(sample)
  const { minute, heapMb, nodes, listeners } = sample
  print(
    [
      minute.toFixed(1).padStart(6),
      heapMb.toFixed(2).padStart(9),
      String(nodes).padStart(8),
      String(listeners).padStart(11),
    ].join(''),
  )
}
const early = samples.slice(Math.floor(samples.length / 10), Math.ceil(samples.length / 5))
const late = samples.slice(Math.floor(samples.length * 0.9))
for (const figure of ['heapMb', 'nodes', 'listeners'] as const) {
  const [before, after] = [mean(early, figure), mean(late, figure)]
  print(
    `${figure}: ${before.toFixed(2)} in the second tenth, ${after.toFixed(2)} in the last: ${(100 * (after / before - 1)).toFixed(1)} %`,
  )
}
print(`complaints of the page: ${complaints.length}${complaints.map((each) => `\n  ${each}`).join('')}`)

/** Until the next sample; of a tour, in another section each 2 s. */
async function rest(page: Page, round: number): Promise<void> {
  if (values.section !== 'tour') return sleep(everyMs)
  const until = performance.now() + everyMs
  for (let n = round; performance.now() < until; n++) {
    await go(page, SECTIONS[n % SECTIONS.length] ?? 'overview')
    await sleep(2_000)
  }
  await go(page, 'overview')
}

async function measure(session: CDPSession): Promise<Sample> {
  await session.send('HeapProfiler.collectGarbage')
  const { metrics } = await session.send('Performance.getMetrics')
  const of = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN
  return {
    minute: passed(),
    heapMb: of('JSHeapUsedSize') / 1e6,
    nodes: of('Nodes'),
    listeners: of('JSEventListeners'),
  }
}

function mean(samples: readonly Sample[], figure: 'heapMb' | 'nodes' | 'listeners'): number {
  return samples.reduce((sum, sample) => sum + sample[figure], 0) / samples.length
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
