import type { Case } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import type { Cbtor } from '../stage/cbtor.ts'
import { residentKiB } from '../stage/room.ts'

const FETCHES = 100_000
const TENTHS = 10

export const memory: Case = {
  name: 'memory',
  title: 'Memory: 100,000 fetches by POST /api/v1/fetch',
  async run(stages, { time }, say) {
    const stage = await stages.tor(0)
    const { cbtor, loader } = stage
    const resident: number[] = []
    let failed = 0
    await lagMs(cbtor) // from here on
    const each = Math.round((FETCHES / TENTHS) * Math.min(1, time))
    for (let tenth = 1; tenth <= TENTHS; tenth++) {
      say(`memory: ${tenth} of ${TENTHS}`)
      const result = await loader.load({
        ...{ way: cbtor.ways.fetch, url: stage.siteUrl('small'), concurrency: 64, count: each, limitMs: 30_000 },
      })
      failed += Object.values(result.failed).reduce((sum, count) => sum + count, 0)
      resident.push(residentKiB(cbtor.pid) / 1_024)
    }
    const late = await lagMs(cbtor)
    const figure = (variant: string, values: number[], note = ''): Figure => ({
      ...{ case: 'memory', variant, contestant: 'CBTOR', unit: 'MiB', values, note },
    })
    return [
      figure('resident after the second tenth', [resident[1] ?? Number.NaN]),
      figure('resident after the last tenth', [resident.at(-1) ?? Number.NaN], `${failed} of ${each * TENTHS} failed`),
      { ...figure('event loop, p99 of its delay', [late]), unit: 'ms' as const },
    ]
  },
}

/** How late the service was since this was asked last. */
async function lagMs(cbtor: Cbtor): Promise<number> {
  const seconds = /cbtor_event_loop_lag_seconds\{of="p99"\} (\S+)/.exec(await cbtor.get('/metrics'))?.[1]
  return Number(seconds) * 1_000
}
