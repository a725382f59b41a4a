import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { onAbort } from '../lib/abort.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { createLogger } from '../lib/log.ts'
import type { Span } from './span.ts'
import { SpanExport } from './span-export.ts'

const SPAN: Span = {
  ...{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentSpanId: undefined, name: 'fetch', kind: 'server' },
  ...{ startAt: 0, endAt: 1, attributes: {}, error: undefined },
}

function createExport(answer: (signal: AbortSignal) => Promise<number>) {
  const clock = new FakeClock()
  const lines: { level: number; msg: string }[] = []
  const logger = createLogger('debug', { write: (line) => void lines.push(JSON.parse(line)) })
  const batches: number[] = []
  const post = (spans: readonly Span[], signal: AbortSignal) => {
    batches.push(spans.length)
    return answer(signal)
  }
  return { clock, lines, batches, spans: new SpanExport({ clock, logger, timeoutMs: 10_000, post }) }
}

describe('SpanExport', () => {
  it('sends what has come from time to time, and what is left at the end', async () => {
    const { spans, clock, batches, lines } = createExport(async () => 200)
    spans.add(SPAN)
    spans.add(SPAN)
    assert.deepEqual(batches, [])
    await clock.advance(5_000)
    assert.deepEqual(batches, [2])
    for (let n = 0; n < 600; n++) spans.add(SPAN)
    await clock.advance(0)
    spans.add(SPAN)
    await spans[Symbol.asyncDispose]()
    assert.deepEqual(batches, [2, 512, 89])
    assert.deepEqual([lines, clock.pending], [[], 0])
  })

  it('drops what a collector that is away does not take, says so once, and once when it is back', async () => {
    let isThere = false
    const { spans, clock, batches, lines } = createExport(async () => {
      if (!isThere) throw new Error('connect ECONNREFUSED 127.0.0.1:4318')
      return 200
    })
    for (let round = 0; round < 50; round++) {
      for (let n = 0; n < 300; n++) spans.add(SPAN)
      await clock.advance(5_000)
    }
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [[40, 'traces cannot be sent to the collector']],
    )
    assert.ok(batches.length <= 51, String(batches.length))
    isThere = true
    await clock.advance(5_000)
    spans.add(SPAN)
    await clock.advance(5_000)
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['traces cannot be sent to the collector', 'traces are sent to the collector again'],
    )
    await spans[Symbol.asyncDispose]()
  })

  it('waits for no collector that hangs, and keeps no more than so many spans', async () => {
    const { spans, clock, batches } = createExport((signal) => new Promise((_, reject) => onAbort(signal, reject)))
    for (let n = 0; n < 10_000; n++) spans.add(SPAN)
    assert.deepEqual(batches, [512])
    const ended = spans[Symbol.asyncDispose]()
    await clock.advance(10_000)
    await ended
    assert.equal(clock.pending, 0)
  })
})
