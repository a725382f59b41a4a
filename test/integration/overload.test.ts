import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import {
  type Answer,
  codesOf,
  isRefused,
  isServed,
  type OverloadLab,
  quantile,
  share,
  startOverloadLab,
} from './overload-lab.ts'

const FOR_MS = 4_000
/** Of a machine that is busy with other tests: the figures are those of `bench/overload.ts`. */
const HANG_MS = 20_000
const NO_LIMITS = { rate: 'off', concurrent: 'off' }

describe('10 times what there is room for', { timeout: 600_000 }, () => {
  it('of places in the pool: one key fills it, and the other one is served', async (t) => {
    // 128 places, each for 6 s: 21 requests per second.
    await using lab = await startOverloadLab(6_000, { limits: NO_LIMITS, politeness: 'off' })
    const { greedy } = await overload(t, lab, { perSecond: 210, url: 'http://a.test/' }, 'http://b.test/')
    assert.deepEqual(Object.keys(codesOf(greedy)).sort(), ['overloaded', 'target 200'])
    const refusal = greedy.find(isRefused)
    assert.ok(Number(refusal?.retryAfter) >= 1, `Retry-After: ${refusal?.retryAfter}`)
    const metrics = await lab.metrics()
    assert.match(metrics, /^cbtor_queue_wait_seconds_count\{outcome="served"\} [1-9]/m)
    assert.match(metrics, /^cbtor_queue_length 0$/m)
  })

  it('of the rate of a key: it is told when to come back, and the other one is served', async (t) => {
    await using lab = await startOverloadLab(20, { politeness: 'off' })
    const load = { perSecond: 100, url: 'http://a.test/', limits: { rate: 10, burst: 10 } }
    const { greedy } = await overload(t, lab, load, 'http://b.test/')
    assert.deepEqual(Object.keys(codesOf(greedy)).sort(), ['rate_limited', 'target 200'])
    assert.ok(greedy.filter(isServed).length <= 10 + 10 * (HANG_MS / 1_000))
    assert.match(await lab.metrics(), /^cbtor_key_refusals_total\{code="rate_limited",key="\w+"\} [1-9]/m)
  })

  it('of one host: whoever asks it seldom has its turn', async (t) => {
    await using lab = await startOverloadLab(20, { limits: NO_LIMITS })
    const { greedy } = await overload(t, lab, { perSecond: 20, url: 'http://a.test/' }, 'http://a.test/', 0.5)
    assert.deepEqual(Object.keys(codesOf(greedy)).sort(), ['target 200', 'target_busy'])
  })
})

interface Load {
  readonly perSecond: number
  readonly url: string
  readonly limits?: Readonly<Record<string, number>>
}

/** Loads the service by one key, while another one asks `perSecond` times a second, which has to be served. */
async function overload(t: TestContext, lab: OverloadLab, load: Load, url: string, perSecond = 5) {
  const [one, other] = [await lab.client('greedy', load.limits), await lab.client('modest')]
  const [greedy, modest] = await Promise.all([
    one.load(load.perSecond, FOR_MS, { url: load.url }),
    other.load(perSecond, FOR_MS, { url }),
  ])
  t.diagnostic(`greedy: ${JSON.stringify(codesOf(greedy))}; refused ${times(greedy.filter(isRefused))}`)
  t.diagnostic(`modest: ${JSON.stringify(codesOf(modest))}; ${times(modest)}`)
  assert.ok(share(modest, isServed) >= 0.99, JSON.stringify(codesOf(modest)))
  assert.ok(share(greedy, isRefused) > 0.2, JSON.stringify(codesOf(greedy)))
  assert.ok(quantile(greedy.filter(isRefused), 0.99) < HANG_MS)
  return { greedy, modest }
}

function times(answers: readonly Answer[]): string {
  const [p50, p99] = [0.5, 0.99].map((q) => quantile(answers, q).toFixed(1))
  return `p50 ${p50} ms, p99 ${p99} ms`
}
