import type { Case } from '../lib/case.ts'
import { inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { BARE } from '../lib/report.ts'
import type { Way } from '../load/order.ts'
import { firstByteMs } from '../stage/curl.ts'
import { plainWay } from '../stage/peers.ts'
import type { TorStage } from '../stage/stages.ts'

/** Identities are told apart so that each has its own warm circuit; as many as there are Tors. */
const KEYS = 4
type Scheme = 'http' | 'https' | 'onion'

let names = 0

/** At 20 ms a hop each request takes long, those of an onion service longest: there are fewer of them. */
export const firstByteAt20 = firstByteAt(20, 'first-byte', '20 ms a hop', { clearnet: 2, onion: 2, fresh: 3 })
export const firstByteAt0 = firstByteAt(0, 'first-byte-0', 'no added latency', { clearnet: 6, onion: 6, fresh: 4 })

/** `times`: how many requests of each kind in a round. */
function firstByteAt(
  latencyMs: 0 | 20,
  name: string,
  latency: string,
  times: Readonly<Record<'clearnet' | 'onion' | 'fresh', number>>,
): Case {
  return {
    name,
    title: `First byte, by curl, ${latency}`,
    run: async (stages, { rounds }, say) => {
      const stage = await stages.tor(latencyMs)
      return [
        ...(await newStreams(name, stage, ['http', 'https'], rounds * times.clearnet, say)),
        ...(await newStreams(name, stage, ['onion'], rounds * times.onion, say)),
        ...(await freshIdentities(name, stage, rounds * times.fresh, say)),
      ]
    },
  }
}

/** A new stream on a circuit that has carried others: the name of the host is a new one, so no connection to it is kept. */
export async function newStreams(
  name: string,
  stage: TorStage,
  schemes: readonly Scheme[],
  rounds: number,
  say: (what: string) => void,
  only: readonly string[] = stage.contestants.map(({ title }) => title),
): Promise<Figure[]> {
  const contestants = stage.contestants.filter(({ title }) => only.includes(title))
  const figures: Figure[] = []
  for (const scheme of schemes) {
    const variant = `new stream, warm circuit, ${scheme}`
    say(`${name}: ${variant}`)
    const ask = (way: Way, round: number) =>
      firstByteMs(stage.room, way, {
        ...{ url: urlOf(stage, scheme), key: `bench${round % KEYS}`, caFile: stage.caFile },
      }).catch(() => Number.NaN)
    for (const each of contestants) for (let n = 0; n < KEYS; n++) await ask(plainWay(each), n)
    const times = await inTurns(rounds, contestants, (each, round) => ask(plainWay(each), round))
    for (const [{ title: contestant }, values] of times) {
      const failed = values.filter(Number.isNaN).length
      const note = failed > 0 ? { note: `${failed} failed` } : {}
      figures.push({ case: name, variant, contestant, unit: 'ms', values, ...note })
    }
    figures.push(...stage.missing.map((peer) => ({ ...peer, case: name, variant, unit: 'ms' as const, values: [] })))
  }
  return figures
}

/** Every request as somebody else: a new user name to bare Tor, a clean circuit of the stock to CBTOR. */
export async function freshIdentities(
  name: string,
  stage: TorStage,
  rounds: number,
  say: (what: string) => void,
): Promise<Figure[]> {
  const variant = 'fresh identity, http'
  say(`${name}: ${variant}`)
  const { cbtor, caFile, room } = stage
  const bare = stage.contestants.find(({ title }) => title === BARE)
  const asked: readonly (readonly [string, () => Promise<number>])[] = [
    [BARE, () => firstByteMs(room, bareWay(bare?.way), { url: urlOf(stage, 'http'), key: `fresh${++names}`, caFile })],
    [
      'CBTOR /fetch',
      () =>
        firstByteMs(room, cbtor.ways.fetch, { url: urlOf(stage, 'http'), fields: { isolation: 'request' }, caFile }),
    ],
    [
      'CBTOR HTTP port',
      () => firstByteMs(room, { ...cbtor.ways.http, user: 'isolate-request' }, { url: urlOf(stage, 'http'), caFile }),
    ],
    [
      'CBTOR SOCKS5 port',
      () => firstByteMs(room, { ...cbtor.ways.socks, user: 'isolate-request' }, { url: urlOf(stage, 'http'), caFile }),
    ],
  ]
  // Longer than the stock takes to have another circuit, as by the budget of a public network.
  const times = await inTurns(rounds, asked, ([, ask]) => ask())
  return [...times].map(([[contestant], values]) => ({ case: name, variant, contestant, unit: 'ms', values }))
}

function bareWay(way: Way | undefined): Way {
  if (way === undefined) throw new Error('There is no bare Tor')
  return way
}

function urlOf({ onion }: TorStage, scheme: Scheme): string {
  const host = `s${++names}.${scheme === 'onion' ? onion : 'cbtor.test'}`
  return `${scheme === 'https' ? 'https' : 'http'}://${host}/status/200`
}
