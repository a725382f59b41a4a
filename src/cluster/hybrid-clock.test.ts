import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../lib/fake-clock.ts'
import { HybridClock, isInstant } from './hybrid-clock.ts'

const HOUR_MS = 3_600_000
const START = Date.UTC(2026, 10, 26)

it('gives later and later instants, also while time stands still or goes back', async () => {
  const clock = new FakeClock(START)
  const instants = new HybridClock(clock, 'run')
  const given = [instants.next(), instants.next()]
  await clock.advance(5)
  given.push(instants.next())
  instants.follow(START - HOUR_MS)
  given.push(instants.next(), instants.next())
  assert.deepEqual(given, [...given].sort())
  assert.equal(new Set(given).size, given.length)
  assert.ok(given.every(isInstant))
})

it('is later than all that it has heard, though the other clock be hours ahead, and keeps time of day otherwise', () => {
  const ahead = new HybridClock(new FakeClock(START + 5 * HOUR_MS), 'a')
  const right = new HybridClock(new FakeClock(START), 'b')
  const heard = ahead.next()
  assert.ok(right.next() < heard)
  right.hear(heard)
  assert.ok(right.next() > heard)
  const late = new HybridClock(new FakeClock(START - HOUR_MS), 'c')
  assert.ok(late.next() < new HybridClock(new FakeClock(START), 'b').next())
})

it("counts by the store's clock, so that a clock that is wrong decides nothing", async () => {
  const wrong = new FakeClock(START + 5 * HOUR_MS)
  const instants = new HybridClock(wrong, 'a')
  instants.follow(START)
  assert.equal(instants.now(), START)
  await wrong.advance(1_000)
  assert.equal(instants.now(), START + 1_000)
  assert.ok(instants.next() < new HybridClock(new FakeClock(START + 1_001), 'b').next())
})

it('goes on from a count that is full, and refuses what no clock can mean', () => {
  const instants = new HybridClock(new FakeClock(START), 'a')
  const full = `${START.toString(16).padStart(12, '0')}ffffffff00`
  assert.ok(isInstant(full))
  instants.hear(full)
  assert.ok(instants.next() > full)
  const farOff = new HybridClock(new FakeClock(Number.MAX_SAFE_INTEGER), 'a').next()
  assert.ok(isInstant(farOff))
  assert.equal(isInstant(`ffffffffffff00000000${'00'}`), false)
  for (const text of ['', '12', 'x'.repeat(22), `${full}0`, full.toUpperCase().replace('FF', 'GG')])
    assert.equal(isInstant(text), false)
})

it('never gives an instant twice, nor one that is not later than what was heard before, among any replicas', () => {
  const deed = fc.record({ by: fc.nat(2), from: fc.nat(2), skewMs: fc.integer({ min: -HOUR_MS, max: HOUR_MS }) })
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
      const replicas = ['a', 'b', 'b2'].map((run) => ({
        instants: new HybridClock(new FakeClock(START), run),
        last: '',
      }))
      const all = new Set<string>()
      for (const { by, from, skewMs } of deeds) {
        const replica = replicas[by]
        const other = replicas[from]
        assert.ok(replica && other)
        replica.instants.follow(START + skewMs)
        if (other.last !== '') replica.instants.hear(other.last)
        const next = replica.instants.next()
        assert.ok(next > replica.last && next > other.last && !all.has(next))
        replica.last = next
        all.add(next)
      }
    }),
  )
})
