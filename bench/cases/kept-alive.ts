import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { median } from '../lib/stats.ts'
import { plainWay } from '../stage/peers.ts'
import type { TorStage } from '../stage/stages.ts'

const WORKERS = 4

/** The same connection for one request after the other, by one client. */
export const keptAliveAt20: Case = {
  name: 'kept-alive',
  title: 'A kept-alive request, 20 ms a hop',
  run: async (stages, { rounds }, say) =>
    await keptAlive('kept-alive', await stages.tor(20), Math.max(2, rounds - 1), 8, say),
}

export const keptAliveAt0: Case = {
  name: 'kept-alive-0',
  title: 'A kept-alive request, no added latency',
  run: async (stages, { rounds }, say) => await keptAlive('kept-alive-0', await stages.tor(0), rounds, 40, say),
}

export async function keptAlive(
  name: string,
  stage: TorStage,
  rounds: number,
  count: number,
  say: (what: string) => void,
  only: readonly string[] = stage.contestants.map(({ title }) => title),
): Promise<Figure[]> {
  say(name)
  const contestants = stage.contestants.filter(({ title }) => only.includes(title))
  const times = await inTurns(rounds, contestants, async (contestant) => {
    const order = {
      way: plainWay(contestant),
      url: stage.siteUrl('small'),
      concurrency: 1,
      isKept: true,
      limitMs: 30_000,
    }
    const { firstByteMs } = await stage.loader.load({ ...order, count: count + WORKERS })
    return median(firstByteMs.slice(WORKERS)) // those before make the connections, one through each worker
  })
  return [...times].map(([{ title: contestant }, values]) => ({
    ...{ case: name, variant: 'http, first byte', contestant, unit: 'ms', values },
  }))
}
