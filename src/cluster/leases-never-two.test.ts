import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Paused } from '../../test/contracts/paused.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { Seal } from '../lib/seal.ts'
import { ownersOf } from './lease-plan.ts'
import { memoryLeases } from './memory-leases.ts'
import { MemoryStore } from './memory-link.ts'
import { ValkeyLeases } from './valkey-leases.ts'
import { ValkeyPresence } from './valkey-presence.ts'

const NAMES = ['gw1', 'gw2', 'gw3'] as const
const WORKERS = ['tor1', 'tor2', 'tor3', 'tor4', 'tor5', 'tor6']

/** What may happen to a cluster, each followed by some time. */
const mishap = fc.oneof(
  fc.record({ type: fc.constantFrom('pause', 'resume', 'cut', 'mend', 'crash', 'seize', 'keep'), replica: fc.nat(2) }),
  fc.record({ type: fc.constant('slow'), replica: fc.nat(2), ms: fc.nat(1_900) }),
  fc.record({ type: fc.constantFrom('freeze', 'thaw', 'lose', 'calm') }),
  fc.record({
    type: fc.constant('set-clock'),
    ms: fc.oneof(fc.integer({ min: 3_100, max: 90_000 }), fc.integer({ min: -90_000, max: -1 })),
  }),
)
const story = fc.array(fc.tuple(mishap, fc.nat(5_000)), { maxLength: 40 })

describe('healer leases, whatever happens', { timeout: 120_000 }, () => {
  it('are never held by two, and by whom they belong to as soon as all is well', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (mishaps) => {
        await using world = await worldOf()
        await world.advance(8_000)
        for (const [what, ms] of mishaps) {
          await world.suffer(what)
          await world.advance(ms)
        }
        world.calm()
        await world.advance(25_000)
        const owners = ownersOf(WORKERS, NAMES)
        for (const worker of WORKERS) assert.deepEqual(world.holders(worker), [owners.get(worker)])
      }),
      { numRuns: 60, seed: 7 },
    )
  })
})

interface Mishap {
  readonly type: string
  readonly replica?: number
  readonly ms?: number
}

async function worldOf() {
  const clock = new FakeClock(1_800_000_000_000)
  let isLost = false
  const lose = () => {
    const was = isLost
    isLost = false
    return was
  }
  const store = new MemoryStore(clock, new Map([memoryLeases(lose)]))
  let runs = 0
  const start = (replica: string) => {
    const process = new Paused()
    const wire = store.link()
    const link = process.link(wire)
    const self = { replica, run: `run${++runs}`, version: '1.0.0', startedAt: clock.now() + runs }
    const onError = (error: unknown) => {
      throw error
    }
    const options = { link, clock: process.clock(clock), onError }
    const seal = new Seal(Buffer.alloc(32, 1), 'presence', seededRandom(1))
    const presence = new ValkeyPresence({ ...options, seal, self })
    const leases = new ValkeyLeases({ ...options, presence })
    leases.setWorkers(WORKERS)
    return { process, wire, presence, leases, keeps: new DisposableStack() }
  }
  const replicas = NAMES.map(start)
  const crashed: typeof replicas = []
  const end = new AbortController()
  const highest = new Map<string, number>()
  let isClockTrue = true

  const holders = (worker: string) => NAMES.filter((_, i) => replicas[i]?.leases.held(worker))
  const calm = () => {
    store.thaw()
    for (const { process, wire, keeps } of replicas) {
      process.resume()
      wire.mend()
      wire.delayMs = 0
      keeps.dispose()
    }
  }

  return {
    holders,
    calm,
    async suffer({ type, replica = 0, ms = 0 }: Mishap): Promise<void> {
      const each = replicas[replica]
      if (type === 'freeze') store.freeze()
      if (type === 'thaw') store.thaw()
      if (type === 'lose') isLost = true
      if (type === 'calm') calm()
      if (type === 'set-clock') {
        store.aheadMs += ms
        isClockTrue = false
      }
      if (each === undefined) return
      if (type === 'pause') each.process.pause()
      if (type === 'resume') each.process.resume()
      if (type === 'cut') each.wire.cut()
      if (type === 'mend') each.wire.mend()
      if (type === 'slow') each.wire.delayMs = ms
      if (type === 'keep' && !each.keeps.disposed) each.keeps.use(each.leases.keep('tor1'))
      if (type === 'seize') each.leases.seize('tor1', end.signal).catch(() => {})
      if (type === 'crash') {
        each.process.pause()
        crashed.push(each)
        replicas[replica] = start(NAMES[replica] ?? 'gw1')
      }
    },
    async advance(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 250) {
        await clock.advance(Math.min(250, ms - passed))
        for (const worker of WORKERS) {
          const held = [...crashed, ...replicas].flatMap(({ leases }) => leases.held(worker) ?? [])
          assert.ok(held.length <= 1, `${worker} is held by ${held.length}`)
          const token = held[0]?.token ?? 0
          if (token === 0 || !isClockTrue) continue
          assert.ok(token >= (highest.get(worker) ?? 0), `the token of ${worker} went back`)
          highest.set(worker, token)
        }
      }
    },
    async [Symbol.asyncDispose]() {
      end.abort(new Error('the test is over'))
      calm()
      for (const { leases, presence } of replicas) {
        await leases[Symbol.asyncDispose]()
        await presence[Symbol.asyncDispose]()
      }
    },
  }
}
