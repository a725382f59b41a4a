import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../lib/fake-clock.ts'
import { CircuitBudget } from './circuit-budget.ts'

const POLICY = { rate: 2, burst: 4 }
const GUARD = 'A'.repeat(40)
const OTHER = 'B'.repeat(40)

describe('CircuitBudget', () => {
  it('has a burst, and fills in the course of time', async () => {
    const clock = new FakeClock()
    const account = new CircuitBudget(clock, POLICY).account()
    account.uses(GUARD)
    for (let n = 0; n < 4; n++) {
      assert.equal(account.waitMs(), 0)
      account.charge()
    }
    assert.deepEqual([account.waitMs(), account.waitMs(3)], [500, 1_500])
    await clock.advance(500)
    assert.deepEqual([account.waitMs(), account.waitMs(2)], [0, 500])
    await clock.advance(60_000)
    assert.deepEqual([account.waitMs(4), account.waitMs(5)], [0, 500])
  })

  it('is shared by all workers that use a guard, and by no others', () => {
    const budget = new CircuitBudget(new FakeClock(), POLICY)
    const [one, two, three] = [budget.account(), budget.account(), budget.account()]
    one.uses(GUARD)
    two.uses(GUARD)
    three.uses(OTHER)
    for (let n = 0; n < 4; n++) one.charge()
    assert.deepEqual(
      [one, two, three].map((account) => account.waitMs()),
      [500, 500, 0],
    )
  })

  it('counts a circuit for every guard that it may take, until it has taken one', () => {
    const budget = new CircuitBudget(new FakeClock(), POLICY)
    const account = budget.account()
    account.uses(GUARD)
    account.uses(OTHER)
    const alone = budget.account()
    alone.uses(OTHER)
    const charges = Array.from({ length: 4 }, () => account.charge())
    assert.equal(alone.waitMs(), 500)
    for (const charge of charges) charge.reached(GUARD)
    assert.deepEqual([account.waitMs(), alone.waitMs(4)], [500, 0])
    // Told once more of what is settled.
    for (const charge of charges) charge.reached(OTHER)
    assert.equal(alone.waitMs(4), 0)
  })

  it('counts for the guard that it meets, before it knows any', () => {
    const budget = new CircuitBudget(new FakeClock(), POLICY)
    const [fresh, other] = [budget.account(), budget.account()]
    other.uses(GUARD)
    for (let n = 0; n < 4; n++) fresh.charge().reached(GUARD)
    assert.equal(other.waitMs(), 500)
  })

  it('forgets a guard that is not used any more', () => {
    const budget = new CircuitBudget(new FakeClock(), POLICY)
    const account = budget.account()
    account.uses(OTHER)
    for (let n = 0; n < 4; n++) account.charge()
    assert.equal(account.waitMs(), 500)
    for (let n = 0; n < 8; n++) account.uses(GUARD)
    assert.equal(account.waitMs(), 0)
  })

  it('gives back what was not asked for, and is in debt for what Tor does by itself, up to a burst', async () => {
    const clock = new FakeClock()
    const account = new CircuitBudget(clock, POLICY).account()
    const charge = account.charge()
    charge.refund()
    charge.refund()
    assert.equal(account.waitMs(4), 0)
    for (let n = 0; n < 100; n++) account.charge()
    assert.equal(account.waitMs(), 2_500)
    await clock.advance(2_500)
    assert.equal(account.waitMs(), 0)
  })

  it('lets no more circuits pass than the bucket holds and gets, whoever asks and whatever guards they take', async () => {
    const step = fc.record({ ms: fc.nat(800), account: fc.nat(2), guard: fc.constantFrom(GUARD, OTHER) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new FakeClock()
        const budget = new CircuitBudget(clock, POLICY)
        const accounts = Array.from({ length: 3 }, () => budget.account())
        for (const account of accounts) for (const guard of [GUARD, OTHER]) account.uses(guard)
        const startedAt = clock.monotonic()
        const launched = new Map<string, number>()
        for (const { ms, account: n, guard } of steps) {
          await clock.advance(ms)
          const account = accounts[n]
          if (!account || account.waitMs() > 0) continue
          const charge = account.charge()
          charge.reached(guard)
          launched.set(guard, (launched.get(guard) ?? 0) + 1)
          const allowed = POLICY.burst + ((clock.monotonic() - startedAt) / 1_000) * POLICY.rate
          assert.ok((launched.get(guard) ?? 0) <= allowed + 1e-6)
        }
      }),
      { numRuns: 30 },
    )
  })
})
