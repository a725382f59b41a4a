import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceEvent } from '../domain/events.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { eventStream } from './event-stream.ts'
import { FakeBackend } from './fake-backend.ts'

const ROTATED: ServiceEvent = { type: 'session_rotated', worker: 'tor01' }
const DEAD: ServiceEvent = { type: 'health_changed', worker: 'tor02', from: 'suspect', to: 'dead', reason: 'why' }

/** A history that keeps five events, and a reader of it. */
function createStream(past: readonly ServiceEvent[], options: { sinceId?: number; type?: string[] } = {}) {
  const backend = new FakeBackend()
  for (const event of past) backend.happen(event)
  const clock = new FakeClock()
  const end = new AbortController()
  let cuts = 0
  const stream = eventStream(
    {
      history: backend.events,
      filter: { type: options.type },
      sinceId: options.sinceId,
      clock,
      cutOff: () => {
        cuts += 1
      },
    },
    end.signal,
  )
  return {
    backend,
    clock,
    end,
    cuts: () => cuts,
    next: async () => (await stream.next()).value ?? undefined,
    close: () => stream.return(),
  }
}

/** The ids that a chunk has, in order. */
function idsIn(chunk: string | undefined): number[] {
  return [...(chunk ?? '').matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
}

describe('eventStream()', { timeout: 10_000 }, () => {
  it('begins at once, with the place from which to go on, and tells each event as it happens', async () => {
    const reader = createStream([ROTATED])
    assert.equal(await reader.next(), 'retry: 2000\nid: 1\n\n')
    const next = reader.next()
    reader.backend.happen(DEAD)
    const data = JSON.stringify({
      id: 2,
      at: '1970-01-01T00:00:02.000Z',
      type: 'health_changed',
      severity: 'warn',
      worker: 'tor02',
      replica: null,
      text: 'It happened',
      details: { from: 'suspect', to: 'dead', reason: 'why' },
    })
    assert.equal(await next, `id: 2\nevent: health_changed\ndata: ${data}\n\n`)
    await reader.close()
    assert.equal(reader.clock.pending, 0)
  })

  it('goes on after the event that the reader has', async () => {
    const reader = createStream([ROTATED, ROTATED, ROTATED], { sinceId: 1 })
    assert.deepEqual(idsIn(await reader.next()), [1])
    assert.deepEqual(idsIn(await reader.next()), [2, 3])
    await reader.close()
  })

  it('says which events are lost, and goes on with those that are kept', async () => {
    const reader = createStream(Array(8).fill(ROTATED), { sinceId: 2 })
    assert.equal(await reader.next(), 'retry: 2000\nid: 3\nevent: events_lost\ndata: {"since_id":2,"oldest_id":4}\n\n')
    assert.deepEqual(idsIn(await reader.next()), [4, 5, 6, 7, 8])
    await reader.close()
  })

  it('says so, too, when the place is of another run', async () => {
    const reader = createStream([], { sinceId: 77 })
    assert.match((await reader.next()) ?? '', /events_lost\ndata: {"since_id":77,"oldest_id":1}/)
    const next = reader.next()
    reader.backend.happen(ROTATED)
    assert.deepEqual(idsIn(await next), [1])
    await reader.close()
  })

  it('sends a heartbeat after 15 s of silence, also when only unwanted events happen, with the place', async () => {
    const reader = createStream([], { type: ['health_changed'] })
    await reader.next()
    const next = reader.next()
    for (let second = 0; second < 14; second++) {
      await reader.clock.advance(1_000)
      if (second < 5) reader.backend.happen(ROTATED)
    }
    await reader.clock.advance(999)
    assert.equal(await Promise.race([next, Promise.resolve('nothing')]), 'nothing')
    await reader.clock.advance(1)
    assert.equal(await next, ': heartbeat\nid: 5\n\n')
    const after = reader.next()
    reader.backend.happen(DEAD)
    assert.deepEqual(idsIn(await after), [6])
    await reader.close()
  })

  it('cuts off a reader that does not take what it is given', async () => {
    const reader = createStream([])
    await reader.next()
    await reader.clock.advance(29_999)
    assert.equal(reader.cuts(), 0)
    await reader.clock.advance(1)
    assert.equal(reader.cuts(), 1)
    await reader.close()
    assert.equal(reader.clock.pending, 0)
  })

  it('cuts off a reader that is slower than events happen, rather than keep them for it', async () => {
    const reader = createStream([])
    await reader.next()
    for (let count = 0; count < 6; count++) reader.backend.happen(ROTATED)
    assert.equal(await reader.next(), undefined)
    assert.equal(reader.cuts(), 1)
  })

  it('ends with its signal, and leaves nothing behind', async () => {
    const reader = createStream([])
    await reader.next()
    const next = reader.next()
    reader.end.abort()
    assert.equal(await next, undefined)
    assert.deepEqual([reader.cuts(), reader.clock.pending], [0, 0])
  })
})
