import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MODES, type Mode } from '../domain/exchange.ts'
import type { HealthState } from '../domain/worker.ts'
import { seededRandom } from '../lib/random.ts'
import { type Candidate, type Candidates, type Choose, isSome, type Turn } from './candidate.ts'
import { bestTier, choose as chooseFrom } from './choose.ts'
import { failover } from './failover.ts'
import { leastConnections } from './least-connections.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'
import { markOf, sticky } from './sticky.ts'

/** Some of the workers 1 to 6, at least one, in configured order, with any load. */
const someCandidates = fc
  .uniqueArray(fc.record({ n: fc.integer({ min: 1, max: 6 }), load: fc.nat(3) }), {
    selector: ({ n }) => n,
    minLength: 1,
  })
  .map((found) => found.sort((a, b) => a.n - b.n).map(({ n, load }) => candidate(n, { load })))
  .map((list) => list as unknown as Candidates<Candidate>)

describe('roundRobin()', () => {
  it('gives two workers that stay turns that differ by at most one, whoever else comes and goes', () => {
    fc.assert(
      fc.property(fc.array(someCandidates, { maxLength: 60 }), (memberships) => {
        const picks = run(roundRobin, memberships)
        for (const a of [1, 2, 3, 4, 5, 6])
          for (const b of [1, 2, 3, 4, 5, 6].filter((n) => n > a)) {
            // While both are there they must alternate, which is the same as differing by at most one in every window.
            let previous = 0
            memberships.forEach((members, i) => {
              const isTogether = [a, b].every((n) => members.some(({ name }) => name.n === n))
              if (!isTogether) previous = 0
              const pick = picks[i] ?? 0
              if (!isTogether || (pick !== a && pick !== b)) return
              assert.notEqual(pick, previous, `worker ${pick} twice, with ${a} and ${b} there, in ${picks}`)
              previous = pick
            })
          }
      }),
    )
  })

  it('goes around in configured order', () => {
    const three = several(1, 2, 3)
    assert.deepEqual(run(roundRobin, [three, three, three, three]), [1, 2, 3, 1])
  })
})

describe('sticky()', () => {
  it('spreads keys nearly evenly', () => {
    const counts = new Map<number, number>()
    for (let i = 0; i < 10_000; i++) {
      const { n } = stickyFor(several(1, 2, 3, 4, 5), `session-${i}`).name
      counts.set(n, (counts.get(n) ?? 0) + 1)
    }
    for (const [n, count] of counts) assert.ok(Math.abs(count - 2_000) < 200, `worker ${n} has ${count} of 10000 keys`)
    assert.equal(counts.size, 5)
  })

  it('moves only the keys of a lost worker, and exactly them back', () => {
    fc.assert(
      fc.property(someCandidates, fc.integer({ min: 1, max: 6 }), fc.string(), (members, lost, key) => {
        const [first, ...others] = members.filter(({ name }) => name.n !== lost)
        if (first === undefined) return
        const before = stickyFor(members, key)
        const after = stickyFor([first, ...others], key)
        if (before.name.n !== lost) assert.equal(after, before)
        else assert.notEqual(after, before)
        assert.equal(stickyFor(members, key), before)
      }),
    )
  })

  it('spreads the keys of a lost worker over all that are left', () => {
    const heirs = new Map<number, number>()
    for (let i = 0; i < 4_000; i++) {
      if (stickyFor(several(1, 2, 3, 4), `k${i}`).name.n !== 3) continue
      const { n } = stickyFor(several(1, 2, 4), `k${i}`).name
      heirs.set(n, (heirs.get(n) ?? 0) + 1)
    }
    for (const n of [1, 2, 4])
      assert.ok((heirs.get(n) ?? 0) > 250, `worker ${n} inherits ${heirs.get(n)} of about 1000`)
  })

  it('looks neither at order nor at number nor at load', () => {
    const a = candidate(1, { id: 'berlin', load: 5 })
    const b = candidate(2, { id: 'oslo' })
    const bFirst = candidate(1, { id: 'oslo', load: 3 })
    const aSecond = candidate(2, { id: 'berlin' })
    for (let i = 0; i < 100; i++) {
      assert.equal(stickyFor([a, b], `${i}`).name.id, stickyFor([bFirst, aSecond], `${i}`).name.id)
    }
  })
})

describe('random()', () => {
  it('gives each about the same share', () => {
    const draw = seededRandom(7)
    const counts = [0, 0, 0, 0, 0]
    for (let i = 0; i < 8_000; i++) {
      const { n } = random(several(1, 2, 3, 4), { key: '', after: 0, random: draw }).name
      counts[n] = (counts[n] ?? 0) + 1
    }
    for (const count of counts.slice(1)) assert.ok(Math.abs(count - 2_000) < 200, `${counts.slice(1)} of 8000`)
  })
})

describe('leastConnections()', () => {
  it('never picks one that is busier than another', () => {
    fc.assert(
      fc.property(someCandidates, fc.nat(6), (members, after) => {
        const { load } = leastConnections(members, { key: '', after, random: seededRandom(1) })
        assert.ok(members.every((member) => member.load >= load))
      }),
    )
  })

  it('lets equals take turns', () => {
    const idle = several(1, 2, 3)
    assert.deepEqual(run(leastConnections, [idle, idle, idle, idle]), [1, 2, 3, 1])
  })

  it('keeps leases that run for ever within one of each other', () => {
    const leases = [0, 0, 0, 0]
    let after = 0
    for (let i = 0; i < 102; i++) {
      const [first = candidate(1), ...others] = leases.map((count, index) => candidate(index + 1, { load: count }))
      after = leastConnections([first, ...others], { key: '', after, random: seededRandom(1) }).name.n
      leases[after - 1] = (leases[after - 1] ?? 0) + 1
    }
    assert.deepEqual(leases.sort(), [25, 25, 26, 26])
  })
})

describe('failover()', () => {
  it('takes the first in configured order', () => {
    fc.assert(
      fc.property(someCandidates, (members) => {
        const { n } = failover(members).name
        assert.ok(members.every(({ name }) => name.n >= n))
      }),
    )
  })
})

describe('choose()', () => {
  const turn = { key: 'k', after: 0, random: seededRandom(3) }

  it('never chooses a suspect worker while a healthy one is left, in every mode but sticky', () => {
    fc.assert(
      fc.property(fc.constantFrom(...MODES), someHealth(), fc.nat(6), (mode, members, after) => {
        const chosen = choose(members, mode, { ...turn, after })
        const has = (health: HealthState) => members.some((member) => member.health === health)
        if (!has('healthy') && !has('suspect')) assert.equal(chosen, undefined)
        else if (mode === 'sticky') assert.ok(chosen?.health === 'healthy' || chosen?.health === 'suspect')
        else assert.equal(chosen?.health, has('healthy') ? 'healthy' : 'suspect')
      }),
    )
  })

  it('chooses a healthy worker in doubt after those without, but before a suspect one, in every mode but sticky', () => {
    fc.assert(
      fc.property(fc.constantFrom(...MODES), someHealth(), fc.nat(6), (mode, members, after) => {
        const chosen = choose(members, mode, { ...turn, after })
        const isTrusted = ({ health, isDoubted }: Candidate) => health === 'healthy' && !isDoubted
        if (mode !== 'sticky' && members.some(isTrusted)) assert.ok(chosen && isTrusted(chosen))
      }),
    )
    const mixed = [candidate(1, { isDoubted: true }), candidate(2)] as const
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      assert.equal(choose(mixed, 'sticky', { ...turn, key }), stickyFor(mixed, key))
    }
  })

  it('gives a worker that has just come back its part of the turns, and all of them when it is alone', () => {
    for (const mode of ['round_robin', 'random', 'least_connections', 'failover'] as const) {
      const members = [candidate(1, { share: 0.2 }), candidate(2)] as const
      const draw = seededRandom(5)
      let [after, count] = [0, 0]
      for (let i = 0; i < 2_000; i++) {
        after = choose(members, mode, { key: '', after, random: draw })?.name.n ?? 0
        if (after === 1) count++
      }
      // Of the turns that it takes it gets all as a primary, half at random, and those that are not right after its last.
      const expected = { round_robin: 333, random: 200, least_connections: 333, failover: 400 }[mode]
      assert.ok(Math.abs(count - expected) < 60, `${mode}: ${count} of 2000`)
      assert.equal(choose([members[0]], mode, turn), members[0])
    }
  })

  it('keeps a sticky key on its worker when that becomes suspect, and moves it when it is dead', () => {
    for (let i = 0; i < 50; i++) {
      const key = `session-${i}`
      const withHealth = (health: HealthState) =>
        several(1, 2, 3, 4).map((member) => (member.name.id === home?.name.id ? { ...member, health } : member))
      const home = choose(several(1, 2, 3, 4), 'sticky', { ...turn, key })
      assert.equal(choose(withHealth('suspect'), 'sticky', { ...turn, key })?.name.id, home?.name.id)
      assert.notEqual(choose(withHealth('dead'), 'sticky', { ...turn, key })?.name.id, home?.name.id)
      assert.equal(choose(withHealth('healthy'), 'sticky', { ...turn, key })?.name.id, home?.name.id)
    }
  })
})

function choose(candidates: readonly Candidate[], mode: Mode, by: Turn): Candidate | undefined {
  const tier = bestTier(candidates, mode)
  return isSome(tier) ? chooseFrom(tier, mode, by) : undefined
}

function candidate(n: number, more: Partial<Omit<Candidate, 'name'>> & { id?: string } = {}): Candidate {
  const { id = `tor0${n}`, ...rest } = more
  return { name: { id, n }, mark: markOf(id), health: 'healthy', isDoubted: false, share: 1, load: 0, ...rest }
}

function several(first: number, ...others: number[]): Candidates<Candidate> {
  return [candidate(first), ...others.map((n) => candidate(n))]
}

function someHealth() {
  const share = fc.constantFrom(0.1, 0.5, 1)
  const states = ['starting', 'healthy', 'suspect', 'dead', 'recovery'] as const
  return fc
    .array(fc.record({ health: fc.constantFrom<HealthState>(...states), isDoubted: fc.boolean(), share }), {
      maxLength: 6,
    })
    .map((list) => list.map((state, index) => candidate(index + 1, state)))
}

function stickyFor(members: Candidates<Candidate>, key: string): Candidate {
  return sticky(members, { key, after: 0, random: seededRandom(1) })
}

/** The numbers chosen when the mode meets these memberships one after the other. */
function run(mode: Choose, memberships: readonly Candidates<Candidate>[]): number[] {
  let after = 0
  return memberships.map((members) => {
    after = mode(members, { key: '', after, random: seededRandom(1) }).name.n
    return after
  })
}
