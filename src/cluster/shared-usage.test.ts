import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../lib/fake-clock.ts'
import { MemoryRegisterHub } from './memory-register-hub.ts'
import { SharedRegisters } from './shared-registers.ts'
import { SharedUsage } from './shared-usage.ts'

const never = new AbortController().signal
const REPLICAS = 3
const DAY = '2026-11-26'
const KEYS = ['a', 'b', '__proto__']

type Deed =
  | { readonly what: 'count'; readonly by: number; readonly key: string; readonly bytes: number }
  | { readonly what: 'cut' | 'mend' | 'lose-answer' | 'restart'; readonly by: number }
  | { readonly what: 'wait'; readonly ms: number }

const by = fc.nat(REPLICAS - 1)
const count = fc.record({
  ...{ what: fc.constant('count' as const), by, key: fc.constantFrom(...KEYS) },
  bytes: fc.integer({ min: 1, max: 1_000 }),
})
const deed: fc.Arbitrary<Deed> = fc.oneof(
  count,
  count,
  fc.record({ what: fc.constantFrom('cut' as const, 'mend' as const, 'lose-answer' as const, 'restart' as const), by }),
  fc.record({ what: fc.constant('wait' as const), ms: fc.constantFrom(10, 2_000, 6_000) }),
)

it('comes to what all have counted together, over cuts, lost answers and restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 30 }), async (deeds) => {
      const clock = new FakeClock()
      const hub = new MemoryRegisterHub(() => clock.now())
      const onError = (error: unknown) => assert.fail(String(error))
      let runs = 0
      /** As who counts bytes does: from what the store knew at its start. */
      async function open() {
        const link = hub.link()
        const run = `run${runs++}`
        const registers = await SharedRegisters.open({ hub: link, clock, run, onError }, never)
        const usage = new SharedUsage(registers, clock, run)
        return { link, registers, usage, sums: new Map(usage.usageOn(DAY)) }
      }
      const replicas = [await open(), await open(), await open()]
      const expected = new Map<string, number>()
      for (const each of deeds) {
        if (each.what === 'wait') {
          await clock.advance(each.ms)
          continue
        }
        const replica = replicas[each.by]
        assert.ok(replica)
        const { link, registers, usage, sums } = replica
        if (each.what === 'count') {
          expected.set(each.key, (expected.get(each.key) ?? 0) + each.bytes)
          sums.set(each.key, (sums.get(each.key) ?? 0) + each.bytes)
          usage.setUsage(DAY, new Map([[each.key, sums.get(each.key) ?? 0]]))
        } else if (each.what === 'restart') {
          link.mend()
          await clock.advance(2_000)
          await registers[Symbol.asyncDispose]()
          replicas[each.by] = await open()
        } else if (each.what === 'lose-answer') link.losesNextAnswer = true
        else link[each.what]()
      }
      for (const { link } of replicas) link.mend()
      await clock.advance(12_000)
      for (const { usage } of replicas) assert.deepEqual(usage.usageOn(DAY), expected)
      for (const { registers } of replicas) await registers[Symbol.asyncDispose]()
    }),
    { numRuns: 100 },
  )
})
