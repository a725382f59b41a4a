import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ProblemCode } from '../domain/problems.ts'
import { type Random, seededRandom } from '../lib/random.ts'
import { RetryBudget } from './retry-budget.ts'

describe('RetryBudget', () => {
  it('lets a fifth of the active and recent requests be repeated, each part spent once', () => {
    const time = { now: 0, monotonic: () => time.now }
    const budget = new RetryBudget(time)
    const requests = Array.from({ length: 100 }, () => budget.begin())
    const granted = () => Array.from({ length: 60 }, () => budget.allows('tor_failure', 'w1')).filter(Boolean).length
    assert.equal(granted(), 20)
    for (const request of requests) request[Symbol.dispose]()
    assert.equal(granted(), 0)

    time.now = 20_000
    for (let n = 0; n < 100; n++) budget.begin()[Symbol.dispose]()
    time.now = 29_999
    for (let n = 0; n < 12; n++) assert.ok(budget.allows('tor_failure', 'w1'))
    time.now = 30_000
    assert.equal(granted(), 0, 'what was left has expired')
  })

  it('lets a quiet service repeat ten in 10 s on credit, which later requests pay back', () => {
    const time = { now: 0, monotonic: () => time.now }
    const budget = new RetryBudget(time)
    const granted = () => Array.from({ length: 20 }, () => budget.allows('tor_failure', 'w1')).filter(Boolean).length
    assert.equal(granted(), 10)
    time.now = 9_999
    for (let n = 0; n < 50; n++) budget.begin()
    assert.equal(granted(), 0)
    for (let n = 0; n < 5; n++) budget.begin()
    assert.equal(granted(), 1)
    time.now = 10_000
    assert.equal(granted(), 9)
  })

  it('lets a request leave a worker that cannot be reached for one that is not known to be as bad, whatever the budget', () => {
    const budget = new RetryBudget({ monotonic: () => 0 })
    while (budget.allows('tor_failure', 'w2'));
    assert.equal(budget.allows('worker_unreachable', 'w2'), true)
    budget.tried('w2', 'worker_unreachable')
    assert.equal(budget.allows('worker_unreachable', 'w2'), false)
    assert.equal(budget.allows('worker_unreachable', 'w3'), true)
    budget.tried('w2', 'tor_timeout')
    budget.tried('w2', 'client_gone')
    budget.tried('w2', 'hedge_lost')
    assert.equal(budget.allows('worker_unreachable', 'w2'), false)
    budget.tried('w2', 'ok')
    assert.equal(budget.allows('worker_unreachable', 'w2'), true)
    assert.equal(budget.allows('tor_failure', 'w2'), false)
  })

  it('refuses nothing that one of four workers had when it died or hung, at 20 requests/s', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(0.1, 0.5, 2, 5), fc.boolean(), (seed, seconds, isHung) => {
        const random = seededRandom(seed)
        const lossAt = 30_000
        // It is out of rotation 250 ms after its death, and given up 3 s after it has frozen.
        const knownAt = lossAt + (isHung ? 3_000 : 250)
        const { requests, refused } = simulate({
          ...{ random, untilMs: 60_000, everyMs: 50 },
          isChosen: (worker, now) => worker !== 'w1' || now < knownAt,
          attempt: (worker, now) => {
            const endsAt = now + random.float() * 2 * seconds * 1000
            if (worker !== 'w1' || endsAt < lossAt) return { endsAt, outcome: 'ok' }
            if (isHung) return { endsAt: Math.max(knownAt, now + 2_000), outcome: 'worker_unreachable' }
            // What was being exchanged looks as if the target had hung up.
            const wasGoingOn = now < lossAt
            return { endsAt: Math.max(now, lossAt), outcome: wasGoingOn ? 'connection_lost' : 'worker_unreachable' }
          },
        })
        assert.equal(requests, 1_200)
        assert.equal(refused, 0)
      }),
      { numRuns: 60 },
    )
  })

  it('adds at most a fifth to the load in a full outage, however it shows', () => {
    const codes: ProblemCode[] = ['worker_unreachable', 'tor_timeout', 'tor_failure', 'connection_lost']
    fc.assert(
      fc.property(
        fc.integer(),
        fc.uniqueArray(fc.constantFrom(...codes), { minLength: 1 }),
        fc.constantFrom(0, 100, 4_000),
        (seed, outcomes, failAfterMs) => {
          const random = seededRandom(seed)
          // Nobody takes the workers out of rotation: the worst that can be.
          const { requests, tries, inFlight } = simulate({
            ...{ random, untilMs: 120_000, everyMs: 50, isChosen: () => true },
            attempt: (_, now) => ({
              endsAt: now + failAfterMs * (0.5 + random.float()),
              outcome: outcomes[random.int(outcomes.length)] ?? 'tor_failure',
            }),
          })
          const movesAtFirst = outcomes.includes('worker_unreachable') ? inFlight : 0
          const onCredit = 10
          assert.ok(tries <= 1.2 * requests + movesAtFirst + onCredit, `${tries} tries of ${requests} requests`)
        },
      ),
      { numRuns: 60 },
    )
  })
})

interface Simulation {
  readonly random: Random
  readonly untilMs: number
  readonly everyMs: number
  isChosen(worker: string, now: number): boolean
  attempt(worker: string, now: number): { endsAt: number; outcome: 'ok' | ProblemCode }
}

const WORKERS = ['w1', 'w2', 'w3', 'w4']

/** Requests that arrive at a steady pace, each tried on three workers at most, in simulated time. */
function simulate({ random, untilMs, everyMs, isChosen, attempt }: Simulation) {
  const time = { now: 0, monotonic: () => time.now }
  const budget = new RetryBudget(time)
  const counts = { requests: 0, tries: 0, refused: 0, inFlight: 0 }
  let going = 0
  const events: { at: number; act: () => void }[] = []
  const at = (when: number, act: () => void) => {
    const index = events.findLastIndex((event) => event.at <= when)
    events.splice(index + 1, 0, { at: when, act })
  }

  const tryOn = (worker: string, tried: readonly string[], request: Disposable) => {
    counts.tries++
    const { endsAt, outcome } = attempt(worker, time.now)
    at(endsAt, () => {
      budget.tried(worker, outcome)
      const all = [...tried, worker]
      const left = WORKERS.filter((other) => !all.includes(other) && isChosen(other, time.now))
      const next = left[random.int(Math.max(1, left.length))]
      if (outcome !== 'ok' && all.length < 3 && next !== undefined) {
        if (budget.allows(outcome, next)) return tryOn(next, all, request)
        counts.refused++
      }
      going--
      request[Symbol.dispose]()
    })
  }
  for (let when = 0; when < untilMs; when += everyMs) {
    at(when, () => {
      counts.requests++
      going++
      counts.inFlight = Math.max(counts.inFlight, going)
      const open = WORKERS.filter((worker) => isChosen(worker, time.now))
      tryOn(open[counts.requests % open.length] ?? 'w1', [], budget.begin())
    })
  }
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    time.now = event.at
    event.act()
  }
  return counts
}
