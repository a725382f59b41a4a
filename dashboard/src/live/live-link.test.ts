import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../../src/lib/fake-clock.ts'
import type { ProblemBody } from '../api/bodies.ts'
import { ApiFailure } from '../api/client.ts'
import { Store } from '../store.ts'
import { testLook, testWorker } from '../test-worker.ts'
import { followService } from './live-link.ts'
import { NOTHING_YET, reduce } from './live-state.ts'

type Message = readonly [event: string, body: object]

const LOOK: Message = ['live', testLook([testWorker(1)])]

/** A page that follows a service which says what `said` has, a stream after the other; an error is one that breaks or is refused. */
function follow(said: (readonly (Message | Error)[])[], { failingGets = 0 } = {}) {
  const clock = new FakeClock()
  const store = new Store(reduce, NOTHING_YET)
  const asked: string[] = []
  const end = new AbortController()
  const watchers = new Set<() => void>()
  let isSeen = true
  const api = {
    async get<T>(path: string): Promise<T> {
      asked.push(path)
      if (path === '/api/v1/live') return LOOK[1] as T
      if (failingGets-- > 0) throw new ApiFailure('The service did not answer.')
      return { events: [{ id: 40 }, { id: 41 }], next_since_id: 41 } as T
    },
    async *stream(path: string, signal: AbortSignal) {
      asked.push(path)
      for (const each of said.shift() ?? []) {
        if (each instanceof Error) throw each
        yield { event: each[0], data: JSON.stringify(each[1]) }
      }
      if (said.length === 0) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
  const time = {
    now: () => clock.now(),
    sleep: (ms: number, signal: AbortSignal) => clock.sleep(ms, signal).catch(() => {}),
    every(ms: number, call: () => void) {
      let timer = clock.timer(ms, ring)
      function ring() {
        call()
        timer = clock.timer(ms, ring)
      }
      return () => timer[Symbol.dispose]()
    },
    isSeen: () => isSeen,
    onSight(call: () => void) {
      watchers.add(call)
      return () => watchers.delete(call)
    },
  }
  function see(isSeenNow: boolean) {
    isSeen = isSeenNow
    for (const call of watchers) call()
  }
  const over = followService(api, store, time, end.signal)
  return { clock, store, asked, end, over, see, watchers }
}

function refusal(status: number): ApiFailure {
  return new ApiFailure('Cannot let you in: the key is revoked.', { status } as ProblemBody)
}

describe('followService()', () => {
  it('has the service as it is, each event from then on, and those of before', async () => {
    const { clock, store, asked, end, over } = follow([[LOOK, ['event', { id: 42 }], ['events_lost', {}]]])
    await clock.advance(0)
    assert.deepEqual(asked, ['/api/v1/live/stream', '/api/v1/events?limit=200'])
    assert.deepEqual(
      store.state.events.map(({ id }) => id),
      [40, 41, 42],
    )
    assert.deepEqual([store.state.link.status, store.state.hasLostEvents], ['live', true])
    end.abort()
    await over
    assert.equal(clock.pending, 0)
  })

  it('takes the stream up again after its last event, ever later while that fails, at once again when it went well', async () => {
    const cut = [new Error('cut')]
    const { clock, store, asked, end, over } = follow([[LOOK, ['event', { id: 50 }]], cut, cut, cut, [LOOK], [LOOK]])
    await clock.advance(0)
    const { link } = store.state
    assert.deepEqual(link.status === 'reconnecting' && [link.since, link.retryAt - link.since, link.reason], [
      ...[1_000_000, 500, 'The service ended the stream.'],
    ])
    await clock.advance(500)
    assert.equal(asked.at(-1), '/api/v1/live/stream?since_id=50')
    await clock.advance(3_000)
    assert.equal(asked.length, 5)
    assert.deepEqual(store.state.link.status === 'reconnecting' && store.state.link.reason, 'cut')
    await clock.advance(4_000)
    assert.equal(asked.length, 6)
    await clock.advance(500)
    assert.deepEqual([asked.length, store.state.link.status], [7, 'live'])
    end.abort()
    await over
    assert.equal(clock.pending, 0)
  })

  it('asks for the events of before once more when it did not get them', async () => {
    const { clock, store, asked, end, over } = follow([[LOOK], [LOOK], [LOOK]], { failingGets: 1 })
    await clock.advance(0)
    assert.deepEqual(store.state.events, [])
    await clock.advance(2_000)
    assert.deepEqual(asked.filter((path) => path.startsWith('/api/v1/events')).length, 2)
    assert.equal(store.state.events.length, 2)
    end.abort()
    await over
  })

  it('does not try again with a key that is refused', async () => {
    for (const status of [401, 403]) {
      const { clock, store, asked, over } = follow([[LOOK], [refusal(status)]])
      await clock.advance(60_000)
      await over
      assert.deepEqual(store.state.link, { status: 'refused', reason: 'Cannot let you in: the key is revoked.' })
      assert.equal(asked.length, 3)
      assert.equal(clock.pending, 0)
    }
  })

  it('says when nothing is heard that should be', async () => {
    const { clock, store, end, over } = follow([[LOOK]])
    await clock.advance(5_000)
    assert.equal(store.state.link.status, 'live')
    await clock.advance(1_000)
    assert.deepEqual(store.state.link, { status: 'stale', since: 1_006_000 })
    end.abort()
    await over
  })

  it('lets go of its connection while it is hidden, looks now and then, and goes on when it is seen', async () => {
    const { clock, store, asked, end, over, see, watchers } = follow([[LOOK]])
    await clock.advance(5_000)
    see(false)
    await clock.advance(9_000)
    assert.equal(asked.length, 2)
    await clock.advance(1_000)
    assert.deepEqual(asked.slice(2), ['/api/v1/live'])
    await clock.advance(30_000)
    assert.deepEqual(asked.slice(3), ['/api/v1/live'])
    assert.equal(store.state.link.status, 'live')
    see(true)
    await clock.advance(0)
    assert.deepEqual(asked.slice(4), ['/api/v1/live/stream?since_id=41'])
    end.abort()
    await over
    assert.deepEqual([clock.pending, watchers.size], [0, 0])
  })

  it('gives up a connection that is silent for too long, and one that never answers, and makes another', async () => {
    const { clock, store, asked, end, over } = follow([[LOOK]])
    await clock.advance(29_000)
    assert.equal(asked.length, 2)
    await clock.advance(1_000)
    assert.equal(store.state.link.status, 'reconnecting')
    await clock.advance(500)
    assert.deepEqual(asked.slice(2), ['/api/v1/live/stream?since_id=41'])
    await clock.advance(31_500)
    assert.equal(asked.length, 4)
    end.abort()
    await over
    assert.equal(clock.pending, 0)
  })
})
