import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../../src/lib/fake-clock.ts'
import { keepAsking } from './keep-asking.ts'

function asking(
  everyMs: number | undefined,
  { answerMs = 0, isSeen = () => true }: { readonly answerMs?: number; readonly isSeen?: () => boolean } = {},
) {
  const clock = new FakeClock()
  const end = new AbortController()
  const sleep = (ms: number, signal: AbortSignal) => clock.sleep(ms, signal).catch(() => {})
  const counts = { asked: 0, answered: 0 }
  const over = keepAsking(
    async () => {
      counts.asked++
      await sleep(answerMs, end.signal)
      counts.answered++
    },
    { everyMs, isSeen, sleep },
    end.signal,
  )
  return { clock, end, counts, over }
}

describe('keepAsking()', () => {
  it('asks again some time after each answer, also when these take longer than that', async () => {
    const { clock, end, counts, over } = asking(3_000, { answerMs: 5_000 })
    await clock.advance(5_000)
    assert.deepEqual(counts, { asked: 1, answered: 1 })
    await clock.advance(3_000)
    assert.deepEqual(counts, { asked: 2, answered: 1 })
    end.abort()
    await over
    assert.equal(clock.pending, 0)
  })

  it('asks nothing while nobody sees the answer, unless it asks only once', async () => {
    let isSeen = false
    const { clock, end, counts, over } = asking(3_000, { isSeen: () => isSeen })
    await clock.advance(9_000)
    assert.equal(counts.asked, 0)
    isSeen = true
    await clock.advance(3_000)
    assert.equal(counts.asked, 1)
    end.abort()
    await over
    const once = asking(undefined, { isSeen: () => false })
    await once.clock.advance(0)
    await once.over
    assert.equal(once.counts.asked, 1)
  })
})
