import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BegunRequest } from '../domain/request-watch.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom } from '../lib/random.ts'
import { RequestSpans } from './request-spans.ts'
import type { Span } from './span.ts'
import type { TracesConfig } from './traces-config.ts'

const START = 1_000_000
const PARENT = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true }
const ASKED: BegunRequest = {
  ...{ kind: 'fetch', door: 'fetch', mode: 'sticky', key: 'secretkey', isOnion: false, parent: undefined },
  ...{ host: 'secret.example', port: 443 },
}

function createSpans(sampler: TracesConfig['sampler'] = { isParentBased: true, ratio: 1 }) {
  const clock = new FakeClock(START)
  const spans: Span[] = []
  const watch = new RequestSpans({ clock, random: seededRandom(1), sampler, add: (span) => void spans.push(span) })
  const shown = () => spans.map(({ name, startAt, endAt }) => [name, startAt - START, endAt - START])
  return { clock, spans, watch, shown }
}

describe('RequestSpans', () => {
  it('has a request, its tries and the phases of the one that gave the answer', async () => {
    const { watch, clock, spans, shown } = createSpans()
    const request = watch.begun({ ...ASKED, parent: PARENT })
    await clock.advance(50)
    request.triedOn?.('tor01')
    await clock.advance(200)
    request.triedOn?.('tor02')
    const attempts = [
      { worker: 'tor01', outcome: 'tor_timeout', ms: 200 },
      { worker: 'tor02', outcome: 'ok', ms: 600 },
    ] as const
    const timing = { queueMs: 50, connectMs: 300, tlsMs: 100, firstByteMs: 150, bodyMs: 50, totalMs: 850 }
    request.answered?.({ worker: 'tor02', attempts, timing }, 850)
    request.ended({ outcome: 'ok', worker: 'tor02', attempts, status: 200, ms: 850 })
    assert.deepEqual(shown(), [
      ['fetch', 0, 850],
      ['attempt', 50, 250],
      ['attempt', 250, 850],
      ['queue', 0, 50],
      ['body', 800, 850],
      ['first byte', 650, 800],
      ['tls', 550, 650],
      ['connect', 250, 550],
    ])
    const [root, ...parts] = spans
    assert.deepEqual([root?.traceId, root?.parentSpanId, root?.error], [PARENT.traceId, PARENT.spanId, undefined])
    assert.ok(parts.every(({ traceId, parentSpanId }) => traceId === root?.traceId && parentSpanId === root?.spanId))
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length)
    assert.deepEqual(root?.attributes, {
      ...{ 'cbtor.class': 'clear', 'cbtor.outcome': 'ok', 'cbtor.attempts': 2, 'cbtor.route': 'fetch' },
      ...{ 'cbtor.mode': 'sticky', 'cbtor.worker': 'tor02', 'http.response.status_code': 200 },
    })
    assert.deepEqual(parts[0]?.error, 'tor_timeout')
    assert.doesNotMatch(JSON.stringify(spans), /secret/)
  })

  it('has what went wrong by its code, and how long a tunnel stood', async () => {
    const { watch, clock, spans, shown } = createSpans()
    watch.begun(ASKED).ended({ outcome: 'no_worker', worker: undefined, attempts: [], status: undefined, ms: 7 })
    const tunnel = watch.begun({ ...ASKED, kind: 'tunnel' })
    tunnel.triedOn?.('tor01')
    await clock.advance(100)
    tunnel.answered?.({ worker: 'tor01', attempts: [] }, 100)
    tunnel.ended({ outcome: 'ok', worker: 'tor01', attempts: [], status: undefined, ms: 5_000 })
    assert.deepEqual(shown(), [
      ['fetch', 0, 7],
      ['queue', 0, 7],
      ['tunnel', 0, 5_000],
      ['tunnel', 100, 5_000],
    ])
    assert.equal(spans[0]?.error, 'no_worker')
  })

  it('keeps a trace as whoever asks keeps it, or a share of them', () => {
    const count = (sampler: TracesConfig['sampler'], parent?: BegunRequest['parent']) => {
      const { watch, spans } = createSpans(sampler)
      for (let n = 0; n < 100; n++)
        watch.begun({ ...ASKED, parent }).ended({ outcome: 'ok', worker: 'w', attempts: [], status: 200, ms: 0.1 })
      return spans.length
    }
    assert.equal(count({ isParentBased: true, ratio: 1 }, { ...PARENT, isSampled: false }), 0)
    assert.equal(count({ isParentBased: true, ratio: 0 }, PARENT), 100)
    assert.equal(count({ isParentBased: false, ratio: 0 }, PARENT), 0)
    const share = count({ isParentBased: true, ratio: 0.3 })
    assert.ok(share > 15 && share < 45, String(share))
  })
})
