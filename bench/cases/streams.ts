import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { type Contestant, plainWay } from '../stage/peers.ts'
import { cpuSeconds } from '../stage/room.ts'
import type { TorStage } from '../stage/stages.ts'

export const streams: Case = {
  name: 'streams',
  title: 'Long bodies: 50 MB, http',
  async run(stages, { rounds, time }, say) {
    const stage = await stages.tor(0)
    return [
      ...(await rates('streams', stage, 1, Math.max(2, rounds - 1), 4 * time, say)),
      ...(await rates('streams', stage, 16, Math.max(2, rounds - 1), 2 * time, say)),
    ]
  },
}

/** Each of them through another Tor. */
const PARTS = 4

/**
 * What each carries while `count` streams of 50 MB go on at once, cut off after `seconds`, and the processor time of a MB. One stream is
 * four, one after the other. Without `/fetch`, whose answer is one document and there when all has come.
 */
export async function rates(
  name: string,
  stage: TorStage,
  count: number,
  rounds: number,
  seconds: number,
  say: (what: string) => void,
  only: readonly string[] = stage.contestants.map(({ title }) => title).filter((title) => title !== 'CBTOR /fetch'),
): Promise<Figure[]> {
  const variant = count === 1 ? 'one stream' : `${count} streams at once`
  say(`${name}: ${variant}`)
  const contestants = stage.contestants.filter(({ title }) => only.includes(title))
  const parts = count === 1 ? PARTS : 1
  const turn = async (contestant: Contestant) => {
    const { pids } = contestant
    const before = cpuSeconds(...pids)
    let [bytes, took] = [0, 0]
    for (let part = 0; part < parts; part++) {
      const load = await stage.loader.load({
        ...{ way: plainWay(contestant), url: stage.siteUrl('50mb'), concurrency: count, limitMs: 60_000 },
        ...{ seconds: seconds / parts, isCutOff: true },
      })
      bytes += load.bytes
      took += load.seconds
    }
    return { bytes, rate: bytes / 1e6 / took, cpu: cpuSeconds(...pids) - before }
  }
  const turns = await inTurns(rounds, contestants, turn, () => stage.newCircuits(contestants))
  return [...turns].map(([{ title: contestant, pids }, results]) => ({
    ...{ case: name, variant, contestant, unit: 'MB/s' as const },
    values: results.map(({ rate }) => rate),
    ...(pids.length > 0 && { note: `${perMb(results).toFixed(1)} ms of processor a MB` }),
  }))
}

function perMb(results: readonly { readonly bytes: number; readonly cpu: number }[]): number {
  const cpu = results.reduce((sum, each) => sum + each.cpu, 0)
  return (1_000 * cpu) / (results.reduce((sum, each) => sum + each.bytes, 0) / 1e6)
}
