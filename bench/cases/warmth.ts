import { setTimeout as sleep } from 'node:timers/promises'
import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { median } from '../lib/stats.ts'
import type { Cbtor } from '../stage/cbtor.ts'
import { firstByteMs } from '../stage/curl.ts'
import type { TorStage } from '../stage/stages.ts'

/** At once: more than the few clean circuits that every Tor has by itself. */
const IDENTITIES = 16
/** Until the next ones come: a stock is full again by then. */
const PAUSE_MS = 3_000

let names = 0

/** What two of our means gain, each by itself. */
export const warmth: Case = {
  name: 'warmth',
  title: 'Circuits built ahead, and optimistic data, each on and off: first byte through /fetch, http, 20 ms a hop',
  async run(stages, { rounds }, say) {
    const stage = await stages.tor(20)
    say('warmth: circuits built ahead')
    const cold = await stages.withoutStock()
    return [...(await stocks(stage, cold, rounds)), ...(await optimism(stage, rounds * 4))]
  },
}

async function stocks(stage: TorStage, cold: Cbtor, rounds: number): Promise<Figure[]> {
  const services: readonly (readonly [string, Cbtor])[] = [
    ['with a stock of circuits', stage.cbtor],
    ['without', cold],
  ]
  const times = await inTurns(rounds + 1, services, async ([, { ways }]) => {
    await sleep(PAUSE_MS)
    const way = { ...ways.fetch, fields: { isolation: 'request' } }
    const load = { way, url: stage.siteUrl('small'), concurrency: IDENTITIES, count: IDENTITIES, limitMs: 30_000 }
    return median((await stage.loader.load(load)).firstByteMs)
  })
  const variant = `${IDENTITIES} fresh identities at once`
  return [...times].map(([[contestant], values]) => ({ case: 'warmth', variant, contestant, unit: 'ms', values }))
}

/** A POST is not sent before the target has answered, as it may not be sent twice; all else is the same. */
async function optimism({ room, cbtor, caFile }: TorStage, rounds: number): Promise<Figure[]> {
  const methods = [
    ['with optimistic data', 'GET'],
    ['without', 'POST'],
  ] as const
  const ask = (method: string) => {
    const url = `http://w${++names}.cbtor.test/status/200`
    return firstByteMs(room, cbtor.ways.fetch, { url, key: 'early', fields: { method }, caFile })
  }
  await ask('GET')
  const times = await inTurns(rounds, methods, ([, method]) => ask(method))
  const variant = 'new stream, warm circuit'
  return [...times].map(([[contestant], values]) => ({ case: 'warmth', variant, contestant, unit: 'ms', values }))
}
