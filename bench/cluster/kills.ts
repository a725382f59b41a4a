import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../lib/stats.ts'
import type { Lab } from './lab.ts'
import { count, type Fetched, isWorkersEnd, Load, partition } from './load.ts'
import { finding, none, type Outcome } from './outcome.ts'
import type { Break } from './words.ts'

export interface KillOptions {
  readonly seconds: number
  readonly killEveryMs: number
  /** How long a killed one stays away. */
  readonly downMs: number
  readonly perSecond: number
  readonly postShare: number
  /** A worker breaks so often, by itself. */
  readonly breakEveryMs: number
  /** How many times what things take of themselves they may take: 1, and more where much else is going on. */
  readonly patience: number
  readonly say: (what: string) => void
}

interface Kill {
  readonly replica: string
  readonly at: number
}

/** Workers that break at the moment of a kill: of those that the killed one checked last. */
const BROKEN_AT_KILL = 9
/** The healer is to be taken over in 10 s. */
const TAKEN_OVER_MS = 10_000
/** As `docs/health.md` says when what is noticed, and some time for the kills. */
const HEALED_WITHIN_MS = { dead: 20_000, hung: 30_000, cut: 120_000 }
/** From a kill until haproxy gives the killed one nothing more. */
const SEEN_WITHIN_MS = 250
/** From a kill until haproxy has told the last who was hit. */
const TOLD_WITHIN_MS = 3_000

/** Kills one replica after the other, under load, while workers break. */
export async function kills(lab: Lab, options: KillOptions): Promise<Outcome> {
  const { seconds, killEveryMs, downMs, perSecond, postShare, patience, say } = options
  const done: Kill[] = []
  const backMs: number[] = []
  const load = new Load({ url: lab.url, perSecond, postShare })
  lab.tell({ type: 'break-each', everyMs: options.breakEveryMs })
  const startedAt = Date.now()
  for (let n = 0; (n + 1) * killEveryMs <= seconds * 1_000; n++) {
    await sleep(Math.max(0, startedAt + (n + 1) * killEveryMs - downMs - Date.now()))
    const replica = lab.replicas[n % lab.replicas.length]
    if (replica === undefined) break
    const at = Date.now()
    await replica.kill()
    done.push({ replica: replica.name, at })
    say(`killed ${replica.name}`)
    lab.tell({ type: 'break-of', replica: replica.name, most: BROKEN_AT_KILL })
    await sleep(downMs)
    backMs.push(await replica.start())
  }
  lab.tell({ type: 'break-each', everyMs: 0 })
  // Until all is well, or what is not has had its time.
  const isPending = (each: Break) => each.wellAt === undefined && !isLate(each, patience)
  while ((await lab.report()).breaks.some(isPending)) await sleep(250)
  const fetches = await load.stop()
  const { orders, breaks, visits, checks } = await lab.report()

  const failed = fetches.filter(({ failure }) => failure !== undefined)
  const of = (method: Fetched['method']) => failed.filter((each) => each.method === method)
  const [hit, otherwise] = partition(
    of('POST'),
    (each) => !each.isTold && done.some((kill) => isHitBy(each, kill, patience)),
  )
  // What a replica itself says of a POST, whose worker broke under it: that it may have been sent.
  const [told, lost] = partition(otherwise, ({ failure }) => isWorkersEnd(failure))
  const takenOver = breaks.filter(
    ({ ailment, at, healer }) =>
      ailment === 'dead' && done.some((kill) => isAtKill(at, kill) && kill.replica === healer),
  )
  const delays = takenOver.map(delayOf)
  const dead = breaks.filter(({ ailment }) => ailment === 'dead').map(delayOf)
  const took = fetches.filter(({ failure }) => failure === undefined).map(({ beganAt, endedAt }) => endedAt - beganAt)
  return {
    findings: [
      none(
        `GET that failed, of ${fetches.length - fetches.filter(({ method }) => method === 'POST').length}`,
        of('GET').length,
      ),
      none('POST that failed without having been at the killed one', lost.length),
      none('POST that came twice', visits.postsTwice.length),
      none('recoveries by two replicas', orders.filter(({ isDouble }) => isDouble).length),
      finding(
        `longest until somebody healed what a killed one would have, of ${delays.length}; s`,
        '≤ 10',
        delays.length === 0 ? 'not measured' : Math.max(...delays) / 1_000,
        delays.length > 0 && Math.max(...delays) <= TAKEN_OVER_MS,
      ),
      none('workers that broke and were not healed in time', breaks.filter((each) => isLate(each, patience)).length),
    ],
    notes: [
      `${done.length} kills, ${breaks.length} breaks, ${orders.length} orders (${orders.filter(({ isStale }) => isStale).length} refused for an old token); checks ${JSON.stringify(checks)}`,
      `${hit.length} POST were at a killed one; a replica told of others: ${count(told.map(({ failure }) => `${failure}`))}`,
      `failed: ${count(failed.map(({ method, failure }) => `${method} ${failure}`))}; GET that came twice: ${visits.getsTwice}`,
      `ms of a fetch: p50 ${quantile(took, 0.5).toFixed(0)}, p99 ${quantile(took, 0.99).toFixed(0)}, longest ${Math.max(...took).toFixed(0)}`,
      `s until somebody sets to work on a worker that has ended, p50 ${(quantile(dead, 0.5) / 1_000).toFixed(1)}, longest ${(Math.max(...dead) / 1_000).toFixed(1)}`,
      `s until a worker that broke is well, longest: ${longest(breaks)}`,
      `s until a replica is back with its workers well: ${backMs.map((ms) => (ms / 1_000).toFixed(1)).join(' ')}`,
    ],
  }
}

/** By ailment. */
function longest(breaks: readonly Break[]): string {
  const tell = ([ailment, all]: readonly [string, readonly Break[]]) => {
    const seconds = all.map(({ at, wellAt = Number.POSITIVE_INFINITY }) => (wellAt - at) / 1_000)
    return `${ailment} ${Math.max(...seconds).toFixed(1)}`
  }
  return [...Map.groupBy(breaks, ({ ailment }) => ailment)].map(tell).join(', ')
}

function isLate({ ailment, at, wellAt = Date.now() }: Break, patience: number): boolean {
  return wellAt - at > HEALED_WITHIN_MS[ailment] * patience
}

function isHitBy({ beganAt, endedAt }: Fetched, { at }: Kill, patience: number): boolean {
  return beganAt <= at + SEEN_WITHIN_MS * patience && endedAt >= at && endedAt <= at + TOLD_WITHIN_MS * patience
}

function isAtKill(at: number, kill: Kill): boolean {
  return at >= kill.at && at <= kill.at + 1_000
}

/** Until somebody set to work. */
function delayOf({ at, orderedAt = Number.POSITIVE_INFINITY }: Break): number {
  return orderedAt - at
}
