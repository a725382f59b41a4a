import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceEvent } from '../domain/events.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { FakeBackend } from './fake-backend.ts'
import { LiveLooks } from './live-looks.ts'
import { liveStream } from './live-stream.ts'
import { liveBody, liveChangeBody } from './schemas/live.ts'

const ROTATED: ServiceEvent = { type: 'session_rotated', worker: 'tor01' }

/** The messages of a chunk, without retry and ids. */
function messagesIn(chunk: string) {
  return chunk
    .split('\n\n')
    .filter((block) => block.includes('data: '))
    .map((block) => ({
      event: /^event: (.*)$/m.exec(block)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? ''),
    }))
}

function createStream(sinceId?: number, past: readonly ServiceEvent[] = []) {
  const backend = new FakeBackend()
  for (const event of past) backend.happen(event)
  const clock = new FakeClock()
  const end = new AbortController()
  const cuts: true[] = []
  const options = { looks: new LiveLooks(backend, clock), history: backend.events, sinceId, clock }
  const stream = liveStream({ ...options, cutOff: () => void cuts.push(true) }, end.signal)
  return {
    ...{ backend, clock, end, cuts },
    next: async () => (await stream.next()).value ?? '',
    /** What comes after so long. */
    async after(ms: number) {
      const next = stream.next()
      await clock.advance(ms)
      return messagesIn((await next).value ?? '')
    },
  }
}

describe('liveStream()', { timeout: 10_000 }, () => {
  it('tells all first, as the schema has it, and its place among the events', async () => {
    const reader = createStream(undefined, [ROTATED])
    const chunk = await reader.next()
    assert.match(chunk, /^retry: 2000\nid: 1\n\nevent: live\n/)
    const [live] = messagesIn(chunk)
    assert.deepEqual(liveBody.parse(live?.data), live?.data)
    assert.deepEqual([live?.data.workers.length, live?.data.pool.state], [4, 'ok'])
  })

  it('tells each second what has changed: workers that have, whole, and those that are gone', async () => {
    const reader = createStream()
    await reader.next()
    const [still] = await reader.after(1_000)
    assert.equal(still?.event, 'change')
    assert.deepEqual(liveChangeBody.parse(still?.data), still?.data)
    const { workers, removed, series, problems } = still?.data ?? {}
    assert.deepEqual([workers, removed, series.length, problems], [[], [], 1, undefined])
    await reader.backend.drain('tor02', { force: false })
    reader.backend.openProblems = [{ code: 'worker_dead', severity: 'warn', text: 'x', since: 0, worker: 'tor01' }]
    reader.backend.removeWorker('tor04')
    const [change] = await reader.after(1_000)
    assert.deepEqual(
      change?.data.workers.map(({ id, desired }: { id: string; desired: string }) => [id, desired]),
      [['tor02', 'drained']],
    )
    assert.deepEqual([change?.data.removed, change?.data.problems.length], [['tor04'], 1])
    assert.equal((await reader.after(1_000))[0]?.data.problems, undefined)
  })

  it('tells an event at once, and what it has changed soon after', async () => {
    const reader = createStream()
    await reader.next()
    const next = reader.next()
    await reader.clock.advance(300)
    reader.backend.happen(ROTATED)
    const [event] = messagesIn(await next)
    assert.deepEqual([event?.event, event?.data.type], ['event', 'session_rotated'])
    const [change] = await reader.after(250)
    assert.equal(change?.event, 'change')
  })

  it('tells the events since an earlier one, and when some of them are lost', async () => {
    const reader = createStream(1, [ROTATED, ROTATED, ROTATED])
    assert.deepEqual(
      messagesIn(await reader.next()).map(({ event }) => event),
      ['live'],
    )
    assert.deepEqual(
      messagesIn(await reader.next()).map(({ event, data }) => [event, data.id]),
      [
        ['event', 2],
        ['event', 3],
      ],
    )
    const lost = createStream(1, Array(8).fill(ROTATED))
    const [first] = messagesIn(await lost.next())
    assert.deepEqual([first?.event, first?.data], ['events_lost', { since_id: 1, oldest_id: 4 }])
  })

  it('cuts off a reader that takes nothing, and one whose next event is no longer kept', async () => {
    const stalled = createStream()
    await stalled.next()
    await stalled.clock.advance(29_999)
    assert.deepEqual(stalled.cuts, [])
    await stalled.clock.advance(1)
    assert.deepEqual(stalled.cuts, [true])
    const late = createStream()
    await late.next()
    for (let count = 0; count < 6; count++) late.backend.happen(ROTATED)
    await late.next()
    assert.deepEqual(late.cuts, [true])
  })

  it('ends with its signal, and leaves no timer', async () => {
    const reader = createStream()
    await reader.next()
    const next = reader.next()
    reader.end.abort()
    await next
    assert.equal(await reader.next(), '')
    assert.equal(reader.clock.pending, 0)
  })
})
