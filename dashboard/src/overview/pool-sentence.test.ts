import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { testLook, testWorker } from '../test-worker.ts'
import { poolSentence } from './pool-sentence.ts'

const DEAD = { state: 'dead', receives_traffic: false } as const
const STARTING = { state: 'starting', receives_traffic: false } as const
const DRAINED = { desired: 'drained', receives_traffic: false } as const
const STOPPED = { desired: 'stopped', receives_traffic: false } as const

function sentenceOf(...workers: readonly Partial<LiveWorkerBody>[]) {
  return poolSentence({ ...testLook(workers.map((worker, index) => testWorker(index + 1, worker))) })
}

describe('poolSentence()', () => {
  it('says how many are healthy, and how urgent it is', () => {
    const said = (...workers: readonly Partial<LiveWorkerBody>[]) => {
      const { tone, headline, aside } = sentenceOf(...workers)
      return [tone, `${headline} ${aside}`.trim()]
    }
    assert.deepEqual(said({}, {}, {}, {}), ['ok', 'All 4 workers are healthy.'])
    assert.deepEqual(said({}), ['ok', 'The worker is healthy.'])
    assert.deepEqual(said({}, {}, DEAD, {}), ['warn', '3 of 4 workers are healthy.'])
    assert.deepEqual(said({}, DEAD, { state: 'suspect' }), ['warn', '1 of 3 workers is healthy.'])
    assert.deepEqual(said(DEAD, DEAD), ['bad', 'No worker takes traffic: requests fail until one does.'])
    assert.deepEqual(said(STARTING, STARTING), ['info', 'All 2 workers are starting.'])
    assert.deepEqual(said(STARTING, DEAD), ['bad', 'No worker takes traffic: requests fail until one does.'])
    assert.deepEqual(said(), ['bad', 'There are no workers: every request fails.'])
  })

  it('does not count as ill what the operator took out', () => {
    const { headline, aside, ill } = sentenceOf({}, {}, DRAINED, { ...STOPPED, state: 'dead' }, STOPPED)
    assert.deepEqual([headline, aside], ['All 2 workers are healthy.', '1 is drained, 2 are stopped.'])
    assert.deepEqual(ill, [])
    assert.equal(sentenceOf(DRAINED, STOPPED).headline, 'Every worker is taken out of the pool: requests fail.')
  })

  it('says so when requests fail although the workers are well', () => {
    const look = testLook([testWorker(1), testWorker(2)])
    const said = (ratio: number | null) => poolSentence({ ...look, pool: { ...look.pool, success_ratio: ratio } })
    const { tone, aside } = said(0.421)
    assert.deepEqual([tone, aside], ['warn', 'But only 42.1 % of requests succeeded in the last minute.'])
    assert.deepEqual(
      [said(null), said(0.95)].map(({ tone, aside }) => [tone, aside]),
      [
        ['ok', ''],
        ['ok', ''],
      ],
    )
  })

  it('names the worst, and counts the others', () => {
    const { ill, moreIll } = sentenceOf(STARTING, {}, { state: 'suspect' }, DEAD, { state: 'recovery' }, DEAD)
    assert.deepEqual([ill.map(({ id }) => id), moreIll], [['tor04'], 4])
  })
})
