import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import type { Contestant } from '../stage/peers.ts'
import { cpuSeconds } from '../stage/room.ts'
import type { AloneStage } from '../stage/stages.ts'

const CONCURRENCIES = [64, 1]
const WARM_S = 2

export const alone: Case = {
  name: 'alone',
  title: 'The gateway alone: behind it a SOCKS port that takes no time',
  async run(stages, { rounds, time }, say) {
    const stage = await stages.alone()
    const figures: Figure[] = []
    for (const concurrency of CONCURRENCIES)
      figures.push(...(await tunnels('alone', stage, concurrency, rounds, time, say)))
    return [...figures, ...(await bytes('alone', stage, rounds, 2 * time, say))]
  },
}

/** A tunnel for each request of 1 kB. */
export async function tunnels(
  name: string,
  stage: AloneStage,
  concurrency: number,
  rounds: number,
  seconds: number,
  say: (what: string) => void,
): Promise<Figure[]> {
  const variant = `new tunnels, ${concurrency} at a time`
  say(`${name}: ${variant}`)
  const load = (contestant: Contestant, atMost: number) =>
    stage.loader.load({
      ...{ way: contestant.way, url: stage.siteUrl('small'), concurrency, limitMs: 30_000, seconds: atMost },
    })
  // Programs that are compiled as they run have been running for long where they are used.
  for (const contestant of stage.contestants) await load(contestant, WARM_S)
  const turns = await inTurns(rounds, stage.contestants, (each) => measured(each, () => load(each, seconds)))
  return figuresOf(
    name,
    variant,
    'tunnels/s',
    turns,
    ({ ok, seconds: took }) => ok / took,
    ({ ok }) => [ok, 'a tunnel'],
    stage,
  )
}

export async function bytes(
  name: string,
  stage: AloneStage,
  rounds: number,
  seconds: number,
  say: (what: string) => void,
): Promise<Figure[]> {
  const variant = 'one stream'
  say(`${name}: ${variant}`)
  const turns = await inTurns(rounds, stage.contestants, (contestant) =>
    measured(contestant, () =>
      stage.loader.load({
        ...{
          way: contestant.way,
          url: stage.siteUrl('100000mb'),
          concurrency: 1,
          seconds,
          limitMs: 60_000,
          isCutOff: true,
        },
      }),
    ),
  )
  return figuresOf(
    name,
    variant,
    'MB/s',
    turns,
    (load) => load.bytes / 1e6 / load.seconds,
    (load) => [load.bytes / 1e6, 'a MB'],
    stage,
  )
}

interface Turn {
  readonly load: { readonly ok: number; readonly seconds: number; readonly bytes: number; readonly failed: object }
  readonly cpu: number
}

async function measured(contestant: Contestant, load: () => Promise<Turn['load']>): Promise<Turn> {
  const before = cpuSeconds(...contestant.pids)
  return { load: await load(), cpu: cpuSeconds(...contestant.pids) - before }
}

function figuresOf(
  name: string,
  variant: string,
  unit: Figure['unit'],
  turns: ReadonlyMap<Contestant, readonly Turn[]>,
  rate: (load: Turn['load']) => number,
  per: (load: Turn['load']) => readonly [number, string],
  { missing }: AloneStage,
): Figure[] {
  const figures = [...turns].map(([{ title: contestant, pids }, all]): Figure => {
    const cpu = all.reduce((sum, turn) => sum + turn.cpu, 0)
    const count = all.reduce((sum, { load }) => sum + per(load)[0], 0)
    const each = all[0] ? per(all[0].load)[1] : ''
    const failed = all.flatMap(({ load }) => Object.values(load.failed)).reduce((sum, n) => sum + n, 0)
    const note = [
      ...(pids.length > 0 ? [`${((1e6 * cpu) / count).toFixed(0)} µs of processor ${each}`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
    ]
    return { case: name, variant, contestant, unit, values: all.map(({ load }) => rate(load)), note: note.join(', ') }
  })
  return [...figures, ...missing.map((peer) => ({ ...peer, case: name, variant, unit, values: [] }))]
}
