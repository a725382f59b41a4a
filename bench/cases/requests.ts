import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { quantile } from '../lib/stats.ts'
import type { LoadResult } from '../load/order.ts'
import { type Contestant, plainWay } from '../stage/peers.ts'
import { cpuSeconds } from '../stage/room.ts'
import type { TorStage } from '../stage/stages.ts'

const CONCURRENCIES = [1, 16, 64, 256]

export interface Variant {
  readonly page: 'small' | '100k'
  readonly concurrency: number
  /** Each place keeps its connection; else each request has one of its own. */
  readonly isKept: boolean
}

export const requests: Case = {
  name: 'requests',
  title: 'Requests a second, http',
  async run(stages, { rounds, time }, say) {
    const stage = await stages.tor(0)
    const variants: Variant[] = [
      ...CONCURRENCIES.map((concurrency) => ({ page: 'small' as const, concurrency, isKept: false })),
      ...CONCURRENCIES.slice(2).map((concurrency) => ({ page: 'small' as const, concurrency, isKept: true })),
      ...CONCURRENCIES.map((concurrency) => ({ page: '100k' as const, concurrency, isKept: false })),
    ]
    const figures: Figure[] = []
    for (const variant of variants)
      figures.push(...(await rates('requests', stage, variant, Math.max(2, rounds - 1), 0.7 * time, say)))
    return figures
  },
}

/** The rate of each, and beside it the processor time that the gateway took for a request. */
export async function rates(
  name: string,
  stage: TorStage,
  { page, concurrency, isKept }: Variant,
  rounds: number,
  seconds: number,
  say: (what: string) => void,
  only: readonly string[] = stage.contestants.map(({ title }) => title),
): Promise<Figure[]> {
  const size = page === 'small' ? '1 kB' : '100 kB'
  const variant = `${size}, ${concurrency} at a time, ${isKept ? 'kept connections' : 'a connection each'}`
  say(`${name}: ${variant}`)
  const contestants = stage.contestants.filter(({ title }) => only.includes(title))
  const turn = async (contestant: Contestant) => {
    const before = cpuSeconds(...contestant.pids)
    const result = await stage.loader.load({
      ...{ way: plainWay(contestant), url: stage.siteUrl(page), concurrency, isKept, seconds, limitMs: 30_000 },
    })
    return { result, cpu: cpuSeconds(...contestant.pids) - before }
  }
  const turns = await inTurns(rounds, contestants, turn, () => stage.newCircuits(contestants))
  const missing = stage.missing.map((peer) => ({ ...peer, case: name, variant, unit: 'req/s' as const, values: [] }))
  return [
    ...[...turns].map(([contestant, results]) => ({
      ...{ case: name, variant, contestant: contestant.title, unit: 'req/s' as const },
      values: results.map(({ result }) => result.ok / result.seconds),
      note: noteOf(contestant, results),
    })),
    ...missing,
  ]
}

function noteOf(contestant: Contestant, results: readonly { result: LoadResult; cpu: number }[]): string {
  const ok = results.reduce((sum, { result }) => sum + result.ok, 0)
  const cpu = results.reduce((sum, each) => sum + each.cpu, 0)
  const times = results.flatMap(({ result }) => result.totalMs)
  return [
    `p50 ${quantile(times, 0.5).toFixed(0)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms`,
    ...(contestant.pids.length > 0 && ok > 0 ? [`${((1e6 * cpu) / ok).toFixed(0)} µs of processor`] : []),
    ...failuresOf(results.map(({ result }) => result)),
  ].join(', ')
}

/** What went wrong, and how often: nothing of what went well. */
export function failuresOf(results: readonly Pick<LoadResult, 'failed'>[]): string[] {
  const counts = new Map<string, number>()
  for (const { failed } of results)
    for (const [what, count] of Object.entries(failed)) counts.set(what, (counts.get(what) ?? 0) + count)
  return [...counts].map(([what, count]) => `${count} × ${what}`)
}
