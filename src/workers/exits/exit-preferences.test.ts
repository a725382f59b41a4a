import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../lib/fake-clock.ts'
import { ExitPreferences } from './exit-preferences.ts'
import type { ExitRelay } from './exit-relay.ts'

const [A, B, C] = ['A', 'B', 'C'].map(
  (digit): ExitRelay => ({
    ...{ nickname: digit, fingerprint: digit.repeat(40), address: '203.0.113.1', bandwidth: 1 },
  }),
) as [ExitRelay, ExitRelay, ExitRelay]

/** The first of those that are to be had is always drawn. */
function lab() {
  const clock = new FakeClock()
  const random = { float: () => 0, int: () => 0, bytes: (count: number) => Buffer.alloc(count) }
  const preferences = new ExitPreferences({ clock, random })
  const choose = (token: string, port = 443, fitting = [A, B, C]) => preferences.choose(fitting, token, port)?.nickname
  return { clock, preferences, choose }
}

describe('ExitPreferences', () => {
  it('gives an identity the exit that it had, as long as it fits', () => {
    const { choose } = lab()
    assert.equal(choose('alice', 443, [B, C]), 'B')
    assert.equal(choose('alice'), 'B')
    assert.equal(choose('alice', 443, [A, C]), 'A')
    assert.equal(choose('alice', 443, []), undefined)
  })

  it('leaves an identity at its exit whatever others have met with there, and gives newcomers another', async () => {
    const { choose, preferences, clock } = lab()
    assert.equal(choose('alice'), 'A')
    for (const failing of ['unreachable', 'port'] as const) preferences.failed(A, 'mallory', 443, failing)
    assert.equal(choose('alice'), 'A')
    assert.equal(choose('bob'), 'B')
    assert.equal(choose('mallory'), 'B')
    await clock.advance(600_000)
    assert.equal(choose('carol'), 'A')
  })

  it('takes an identity off an exit that failed it: for the port alone, or for good', async () => {
    const { choose, preferences, clock } = lab()
    assert.equal(choose('alice'), 'A')
    preferences.failed(A, 'alice', 6667, 'port')
    assert.equal(choose('alice', 6667), 'B')
    assert.equal(choose('alice'), 'A')
    preferences.failed(A, 'alice', 443, 'unreachable')
    assert.equal(choose('alice'), 'B')
    await clock.advance(60_000)
    assert.equal(choose('alice'), 'B')
  })

  it('takes one that has just failed rather than none', () => {
    const { choose, preferences } = lab()
    preferences.failed(A, 'mallory', 443, 'unreachable')
    assert.equal(choose('bob', 443, [A]), 'A')
  })
})
