/** A short run of the fuzz, another one each time; `node bench/fuzz.ts` is the long one. FUZZ_SEED repeats a run. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fuzz, growthOf } from './fuzz.ts'

const COUNT = 20_000
const MIB = 1024 * 1024
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000)

describe(`mutated requests, seed ${seed}`, { concurrency: 2, timeout: 600_000 }, () => {
  for (const port of ['api', 'http', 'socks', 'both'] as const) {
    it(`to the port ${port}: no crash, no unlisted answer, nothing left behind`, async (t) => {
      const report = await fuzz({ port, count: COUNT, seed })
      assert.deepEqual(report.faults, [], `seed ${seed}`)
      assert.ok(report.sent >= COUNT)
      const { heap, rss } = growthOf(report)
      t.diagnostic(`${report.sent} requests, heap ${heap} B and resident ${rss} B more than after a quarter`)
      assert.ok(heap < 8 * MIB, `the heap has grown by ${heap} bytes`)
    })
  }
})
