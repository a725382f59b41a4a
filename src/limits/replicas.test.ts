import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ANYBODY, type Caller, type KeyLimits } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { Admission, NO_LIMITS } from './admission.ts'
import { fromJson, toJson } from './limit-report.ts'
import { MemoryUsage } from './memory-usage.ts'
import type { UsageStore } from './usage-store.ts'

const NOON = Date.UTC(2026, 10, 26, 12)

describe('a rate holds for all replicas together', () => {
  it('each pays for what the others have let in', async () => {
    const { replicas, beat, clock } = lab(2)
    const [a, b] = replicas
    const key = keyWith({ rate: 1, burst: 4 })
    for (let n = 0; n < 3; n++) a.admits(key)
    beat()
    assert.deepEqual([b.admits(key), b.admits(key)], [true, false])
    await clock.advance(1_000)
    beat()
    assert.deepEqual([a.admits(key), a.admits(key)], [true, false], 'and tells so')
    beat()
    assert.equal(b.admits(key), false)
  })

  it('in the long run, but for what each lets in until it hears of the others', async () => {
    const schedules = fc.record({
      rate: fc.constantFrom(0.5, 2, 10),
      burst: fc.integer({ min: 1, max: 20 }),
      // Of each beat of 60: how many ask at each replica, and which reports get lost.
      beats: fc.array(
        fc.record({
          asks: fc.array(fc.nat(30), { minLength: 3, maxLength: 3 }),
          lost: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 6, maxLength: 6 }),
        }),
        { minLength: 60, maxLength: 60 },
      ),
    })
    await fc.assert(
      fc.asyncProperty(schedules, async ({ rate, burst, beats }) => {
        const { replicas, tell, clock } = lab(3)
        const key = keyWith({ rate, burst })
        let admitted = 0
        let longestSilence = 1
        const silence = new Map<number, number>()
        for (const { asks, lost } of beats) {
          for (const [index, replica] of replicas.entries())
            for (let n = 0; n < (asks[index] ?? 0); n++) if (replica.admits(key)) admitted++
          await clock.advance(1_000)
          tell((pair) => {
            const isLost = lost[pair] === 0
            silence.set(pair, isLost ? (silence.get(pair) ?? 1) + 1 : 1)
            longestSilence = Math.max(longestSilence, silence.get(pair) ?? 1)
            return !isLost
          })
        }
        const overrun = 2 * (burst + rate * longestSilence)
        assert.ok(admitted <= burst + rate * 60 + overrun, `${admitted} of ${rate} per second, ${burst} at once`)
      }),
      { numRuns: 30 },
    )
  })

  it('nobody waits for what was let in while the others could not be heard', async () => {
    const { replicas, beat, clock } = lab(2)
    const [a, b] = replicas
    const key = keyWith({ rate: 10, burst: 10 })
    beat()
    for (let n = 0; n < 3_600; n++) {
      assert.ok(a.admits(key))
      await clock.advance(100)
    }
    beat()
    // At most 5 s of its rate and a burst: 60 - 10
    await clock.advance(5_100)
    assert.ok(b.admits(key))
  })

  it('a replica that began anew, or that nobody had heard yet, is asked for no more than it let in lately', async () => {
    const { replicas, beat, clock } = lab(2)
    const [a] = replicas
    const key = keyWith({ rate: 1, burst: 5 })
    for (let n = 0; n < 5; n++) a.admits(key)
    beat()
    await clock.advance(60_000)
    a.admits(key)
    const late = new Admission({ clock, defaults: NO_LIMITS })
    late.hear({ replica: 'gw1', run: 'r' }, a.admission.report())
    for (let n = 0; n < 4; n++) late.admit(key)[Symbol.dispose]()
    assert.throws(() => late.admit(key), { code: 'rate_limited' })
  })
})

describe('how many go on at a time holds for all replicas together', () => {
  it('as of a second ago, and those of one that is silent for 5 s count no more', async () => {
    const { replicas, beat, clock } = lab(3)
    const [a, b, c] = replicas
    const key = keyWith({ concurrent: 3 })
    const held = [a.admission.admit(key), b.admission.admit(key)]
    beat()
    c.admission.admit(key)
    assert.equal(c.admits(key), false)
    held[0]?.[Symbol.dispose]()
    assert.equal(c.admits(key), false, 'it is not told yet')
    beat()
    assert.equal(c.admits(key), true)
    b.admission.admit(key)
    beat()
    assert.equal(a.admits(key), false)
    await clock.advance(4_999)
    assert.equal(a.admits(key), false)
    await clock.advance(1)
    assert.equal(a.admits(key), true)
  })

  it('those of one that is gone count no more at once', () => {
    const { replicas, beat } = lab(2)
    const [a, b] = replicas
    const key = keyWith({ concurrent: 1 })
    a.admission.admit(key)
    beat()
    assert.equal(b.admits(key), false)
    b.admission.hear({ replica: 'gw1', run: 'r' }, undefined)
    assert.equal(b.admits(key), true)
  })
})

describe('bytes of a day hold for all replicas together', () => {
  it('also of what is under way elsewhere, and whatever reports get lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), fc.nat(500), fc.array(fc.boolean(), { minLength: 6, maxLength: 6 })), {
          minLength: 1,
          maxLength: 20,
        }),
        async (steps) => {
          const { replicas, tell, beat, clock } = lab(3)
          const key = keyWith({ bytesPerDay: 1_000 })
          const flows = replicas.map(({ admission }) => {
            const { signal } = admission.admit(key)
            const socket = new FakeSocket()
            admission.watch('k', socket)
            return { signal, socket }
          })
          beat()
          let total = 0
          for (const [at, bytes, heard] of steps) {
            const flow = flows[at]
            assert.ok(flow)
            flow.socket.bytesRead += bytes
            total += bytes
            await clock.advance(1_000)
            tell((pair) => heard[pair] ?? true)
          }
          beat()
          for (const { admission } of replicas) assert.equal(admission.bytesToday('k'), total)
          assert.ok(flows.every(({ signal }) => signal.aborted === total >= 1_000))
          for (const replica of replicas) assert.equal(replica.admits(key), total < 1_000)
        },
      ),
      { numRuns: 30 },
    )
  })

  it('each writes down its own', async () => {
    const stores = [new MemoryUsage(), new MemoryUsage()]
    const { replicas, beat, clock } = lab(2, stores)
    for (const [index, { admission }] of replicas.entries()) {
      const socket = new FakeSocket()
      admission.admit(keyWith({}))
      admission.watch('k', socket)
      socket.bytesRead = 100 * (index + 1)
    }
    await clock.advance(1_000)
    beat()
    await clock.advance(20_000)
    assert.deepEqual(
      stores.map((store) => store.usageOn('2026-11-26').get('k')),
      [100, 200],
    )
    assert.deepEqual(
      replicas.map(({ admission }) => admission.bytesToday('k')),
      [300, 300],
    )
  })

  it('until midnight', async () => {
    const { replicas, beat, clock } = lab(2)
    const [a, b] = replicas
    const socket = new FakeSocket()
    a.admission.admit(keyWith({}))
    a.admission.watch('k', socket)
    const use = async (bytes: number, told: number[]) => {
      socket.bytesRead += bytes
      await clock.advance(1_000)
      beat()
      assert.deepEqual([a.admission.bytesToday('k'), b.admission.bytesToday('k')], told)
    }
    await use(10, [10, 10])
    await clock.advance(12 * 3_600_000)
    await use(30, [30, 30])
    await use(1, [31, 31])
  })
})

it('takes no report for one that is none', () => {
  for (const json of [undefined, null, 7, [], {}, { day: 1, keys: [] }, { day: 'd', keys: {} }])
    assert.equal(fromJson(json), undefined)
  const row = ['k', 1, 1, 0, 0, 0, -1, 5]
  const strange = [null, [], ['k'], [1, ...row.slice(1)], ['k', -1, ...row.slice(2)], ['k', 1, 1, 0, 0, 0, 0, 0]]
  assert.deepEqual(fromJson({ day: 'd', keys: [...strange, [...row, 'later'], ['k', ...Array(7).fill('1')]] })?.keys, [
    {
      ...{ key: 'k', taken: 1, takenLately: 1, underWay: 0, bytes: 0, bytesLately: 0 },
      flow: { rate: Number.POSITIVE_INFINITY, burst: 5 },
    },
  ])
})

it('says nothing of keys of which nothing comes, and nothing twice', () => {
  const { replicas, beat } = lab(2)
  const [a, b] = replicas
  a.admits(keyWith({}))
  assert.equal(a.admission.report().keys.length, 1)
  assert.equal(a.admission.report().keys.length, 0)
  beat()
  assert.equal(b.admission.report().keys.length, 0, 'what others tell is not told on')
})

function keyWith(limits: KeyLimits): Caller {
  return { ...ANYBODY, id: 'k', limits }
}

class FakeSocket extends EventEmitter {
  bytesRead = 0
  bytesWritten = 0
  destroyed = false
}

type Replica = { readonly admission: Admission; admits(key: Caller): boolean }

/** Replicas that hear of each other when they are told to. */
function lab(count: number, stores: readonly UsageStore[] = []) {
  const clock = new FakeClock(NOON)
  const made = Array.from({ length: count }, (_, index): Replica => {
    const usage = stores[index]
    const admission = new Admission({ clock, defaults: NO_LIMITS, ...(usage && { usage }) })
    return {
      admission,
      admits(key) {
        try {
          admission.admit(key)[Symbol.dispose]()
          return true
        } catch (error) {
          if (error instanceof CbtorError) return false
          throw error
        }
      },
    }
  })
  const replicas = made as unknown as [Replica, Replica, Replica]
  /** Each pair has a number. */
  const tell = (isHeard: (pair: number) => boolean) => {
    const reports = made.map(({ admission }) => JSON.stringify(toJson(admission.report())))
    let pair = 0
    for (const [from, report] of reports.entries())
      for (const [to, { admission }] of made.entries())
        if (from !== to && isHeard(pair++))
          admission.hear({ replica: `gw${from + 1}`, run: 'r' }, fromJson(JSON.parse(report)))
  }
  return { clock, replicas, tell, beat: () => tell(() => true) }
}
