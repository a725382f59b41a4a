import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { firstByteMs } from '../stage/curl.ts'

let names = 0

/** What two of our means gain, each by itself. */
export const warmth: Case = {
  name: 'warmth',
  title: 'Circuits built ahead, and optimistic data, each on and off; first byte, http, by curl, 20 ms a hop',
  async run(stages, { rounds }, say) {
    const stage = await stages.tor(20)
    say('warmth: circuits built ahead')
    const cold = await stages.withoutStock()
    const url = () => `http://w${++names}.cbtor.test/status/200`
    const { room, caFile, cbtor } = stage
    const fresh = { isolation: 'request' }
    const asked: readonly (readonly [string, string, () => Promise<number>])[] = [
      [
        'fresh identity',
        'with a stock of circuits',
        () => firstByteMs(room, cbtor.ways.fetch, { url: url(), fields: fresh, caFile }),
      ],
      ['fresh identity', 'without', () => firstByteMs(room, cold.ways.fetch, { url: url(), fields: fresh, caFile })],
      // A body is not sent before the target has answered, as it may not be sent twice; all else is the same.
      [
        'new stream, warm circuit',
        'with optimistic data',
        () => firstByteMs(room, cbtor.ways.fetch, { url: url(), key: 'early', caFile }),
      ],
      [
        'new stream, warm circuit',
        'without',
        () => firstByteMs(room, cbtor.ways.fetch, { url: url(), key: 'early', fields: { method: 'POST' }, caFile }),
      ],
    ]
    for (const [, , ask] of asked) await ask()
    const times = await inTurns(rounds * 3, asked, ([, , ask]) => ask())
    return [...times].map(
      ([[variant, contestant], values]): Figure => ({ case: 'warmth', variant, contestant, unit: 'ms', values }),
    )
  },
}
