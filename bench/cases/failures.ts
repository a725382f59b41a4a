import { setTimeout as sleep } from 'node:timers/promises'
import type { TorNetwork } from '../../src/testnet/network.ts'
import type { Case } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { quantile } from '../lib/stats.ts'
import type { LoadResult } from '../load/order.ts'
import { type Contestant, plainWay } from '../stage/peers.ts'
import type { FaultStage, TorStage } from '../stage/stages.ts'

const FAULTS = ['killed', 'frozen', 'cut off'] as const
type Fault = (typeof FAULTS)[number]
const RATES = [20, 100]
/** Which of the four. */
const FAILING = 1

/** When the fault comes, how long it lasts, and how long is looked on. */
const BEFORE_MS = 3_000
const LASTS_MS = 10_000
const SECONDS = 16
/** What a client waits for an answer. */
const LIMIT_MS = 10_000
const RECOVERED_WITHIN_MS = 4_000

export const failures: Case = {
  name: 'failures',
  title: `One of four Tors fails for ${LASTS_MS / 1_000} s; clients wait for ${LIMIT_MS / 1_000} s`,
  async run(stages, { time }, say) {
    const stage = await stages.tor(0)
    // Those of the peers have nobody who starts them again.
    const faults = await stages.faults()
    const figures: Figure[] = []
    for (const rate of time < 1 ? RATES.slice(0, 1) : RATES)
      for (const fault of FAULTS) {
        say(`failures: ${fault}, ${rate} a second`)
        figures.push(...(await failing(stage, faults, fault, rate)))
      }
    return figures
  },
}

/** All are under load at the same time, each with a Tor of its own kind that fails. */
async function failing(stage: TorStage, faults: FaultStage, fault: Fault, perSecond: number): Promise<Figure[]> {
  const ours = stage.contestants.filter(({ title }) => /^CBTOR (\/fetch|HTTP port)$/.test(title))
  const contestants = [...faults.contestants, ...ours]
  const loads = contestants.map((contestant) =>
    stage.loader.load({
      ...{
        way: plainWay(contestant),
        url: stage.siteUrl('small'),
        concurrency: 1,
        perSecond,
        seconds: SECONDS,
        limitMs: LIMIT_MS,
      },
    }),
  )
  await sleep(BEFORE_MS)
  const ends = await Promise.all([failOurs(stage, fault), failPlain(stage, faults, fault)])
  await sleep(LASTS_MS)
  await Promise.all(ends.map((end) => end()))
  const results = await Promise.all(loads)
  await sleep(2_000) // whoever heals has done so by then
  const variant = `${fault}, ${perSecond} a second`
  return results.flatMap((result, index) => figuresOf(contestants[index], result, variant, perSecond))
}

/** Ours is not brought back from outside, unless it cannot be from inside. Resolves with what ends the fault. */
async function failOurs({ network, tors }: TorStage, fault: Fault): Promise<() => Promise<void>> {
  const pid = (await tors.pids())[FAILING] ?? 0
  if (fault === 'cut off') return await cutOff(network, FAILING + 1)
  process.kill(pid, fault === 'killed' ? 'SIGKILL' : 'SIGSTOP')
  return async () => {}
}

async function failPlain({ network }: TorStage, { plain }: FaultStage, fault: Fault): Promise<() => Promise<void>> {
  const tor = plain.tors[FAILING]
  if (tor === undefined) throw new Error('There is no such Tor')
  if (fault === 'cut off') return await cutOff(network, plain.firstClient + FAILING)
  if (fault === 'killed') {
    await tor.kill()
    return () => tor.start()
  }
  process.kill(tor.pid, 'SIGSTOP')
  return async () => {
    process.kill(tor.pid, 'SIGCONT')
  }
}

async function cutOff(network: TorNetwork, client: number): Promise<() => Promise<void>> {
  await network.blackhole(client, true)
  return () => network.blackhole(client, false)
}

function figuresOf(
  contestant: Contestant | undefined,
  result: LoadResult,
  variant: string,
  perSecond: number,
): Figure[] {
  if (contestant === undefined) return []
  const failed = Object.values(result.failed).reduce((sum, count) => sum + count, 0)
  const all = failed + result.ok
  const kept = rateKept(result, perSecond)
  const figure = (what: string, unit: Figure['unit'], value: number, note?: string): Figure => ({
    ...{ case: 'failures', variant: `${variant}: ${what}`, contestant: contestant.title, unit, values: [value] },
    ...(note !== undefined && { note }),
  })
  const why = Object.entries(result.failed).map(([what, count]) => `${count} × ${what}`)
  return [
    figure('failed', '%', (100 * failed) / all, [`${failed} of ${all}`, ...why].join('; ')),
    figure(
      'rate kept from 4 s on',
      '%',
      100 * kept,
      `slowest answer ${quantile(result.totalMs, 1).toFixed(0)} ms, ${result.totalMs.filter((ms) => ms > 2_000).length} above 2 s, ${recoveredText(result)}`,
    ),
  ]
}

/** Of the requests that began while the fault lasted, but not in its first seconds: how many were answered within a second. */
function rateKept({ startedMs, totalMs }: LoadResult, perSecond: number): number {
  const from = BEFORE_MS + RECOVERED_WITHIN_MS
  const to = BEFORE_MS + LASTS_MS
  const good = startedMs.filter((at, index) => at >= from && at < to && (totalMs[index] ?? 0) < 1_000)
  return good.length / ((perSecond * (to - from)) / 1_000)
}

/** The last request that failed, or took longer than a second. */
function recoveredText({ startedMs, totalMs, failedMs }: LoadResult): string {
  const slow = startedMs.filter((_, index) => (totalMs[index] ?? 0) > 1_000)
  const last = Math.max(0, ...failedMs, ...slow) - BEFORE_MS
  return last <= 0 ? 'nobody noticed' : `as before after ${(last / 1_000).toFixed(1)} s`
}
