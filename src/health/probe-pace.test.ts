import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../lib/random.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { ProbePace } from './probe-pace.ts'

describe('ProbePace', () => {
  it('has workers that start together fall out of step at once, and stay out of it', () => {
    const { checkEveryMs } = DEFAULT_POLICY
    const random = seededRandom(1)
    const paces = Array.from({ length: 200 }, () => new ProbePace(random, DEFAULT_POLICY, 0))
    for (let round = 0; round < 5; round++) {
      for (const pace of paces) pace.begin(pace.nextAt)
      // In ten parts of an interval, none has more than twice its share.
      const parts = Map.groupBy(paces, ({ nextAt }) => Math.floor((nextAt % checkEveryMs) / (checkEveryMs / 10)))
      for (const [part, members] of parts) assert.ok(members.length < 40, `${members.length} in part ${part}`)
    }
  })
})
