import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EventBody, LiveChangeBody } from '../api/bodies.ts'
import { testLook, testWorker } from '../test-worker.ts'
import { type LiveInput, type LiveState, MAX_EVENTS, MAX_POINTS, NOTHING_YET, reduce } from './live-state.ts'

const LOOK = testLook([testWorker(1), testWorker(2)])
const AT = Date.parse(LOOK.at)
const POINT = { requests: 1, failures: 0, p50_ms: 5, p95_ms: 9 }

function run(...inputs: readonly LiveInput[]): LiveState {
  return inputs.reduce(reduce, NOTHING_YET)
}

function change(other: Partial<LiveChangeBody>): LiveInput {
  const { pool } = LOOK
  const nothing = { at: LOOK.at, pool, series: [], workers: [], removed: [], requests: [], requests_total: 0 }
  return { type: 'change', change: { ...nothing, ...other }, now: AT }
}

function events(...ids: readonly number[]): LiveInput {
  return { type: 'events', events: ids.map((id) => ({ id }) as EventBody), now: AT }
}

const look: LiveInput = { type: 'look', body: LOOK, now: AT - 1_500 }

describe('reduce()', () => {
  it('is live from the first look on, by the time of the service', () => {
    const state = run(look)
    assert.deepEqual(state.link, { status: 'live' })
    assert.equal(state.skewMs, 1_500)
    assert.equal(state.view?.workers.length, 2)
  })

  it('takes changed workers, forgets removed ones, adds new ones by their numbers, and leaves the others the very same', () => {
    const before = run(look)
    const sick = testWorker(2, { state: 'dead' })
    const after = [change({ workers: [testWorker(3), sick], removed: ['tor01'] })].reduce(reduce, before)
    assert.deepEqual(
      after.view?.workers.map(({ id, state }) => `${id} ${state}`),
      ['tor02 dead', 'tor03 healthy'],
    )
    const unchanged = reduce(before, change({}))
    assert.equal(unchanged.view?.workers, before.view?.workers)
    const other = reduce(before, change({ workers: [sick] }))
    assert.equal(other.view?.workers[0], before.view?.workers[0])
  })

  it('lets the newest point grow, and keeps no more points than are shown', () => {
    const at = (n: number) => new Date(AT + n * 10_000).toISOString()
    let state = run({ type: 'look', body: { ...LOOK, series: [{ at: at(0), ...POINT }] }, now: AT })
    state = reduce(state, change({ series: [{ at: at(0), ...POINT, requests: 7 }] }))
    assert.deepEqual(
      state.view?.series.map(({ requests }) => requests),
      [7],
    )
    for (let n = 1; n < 200; n++) state = reduce(state, change({ series: [{ at: at(n), ...POINT }] }))
    assert.equal(state.view?.series.length, MAX_POINTS)
    assert.equal(state.view?.series.at(-1)?.at, at(199))
  })

  it('keeps problems until it is told of others', () => {
    const problem = { code: 'worker_dead', severity: 'warn', text: 'x', since: LOOK.at, worker: 'tor01' } as const
    const open = run(look, change({ problems: [problem] }), change({}))
    assert.deepEqual(open.view?.problems, [problem])
    assert.deepEqual(reduce(open, change({ problems: [] })).view?.problems, [])
  })

  it('has each event once and in order, whatever is sent again, and no more than it can show', () => {
    const ids = (state: LiveState) => state.events.map(({ id }) => id)
    assert.deepEqual(ids(run(events(4, 5), events(6), events(5, 6, 7), events(2))), [2, 4, 5, 6, 7])
    const many = run(...Array.from({ length: MAX_EVENTS + 50 }, (_, id) => events(id)))
    assert.deepEqual([many.events.length, many.events.at(-1)?.id], [MAX_EVENTS, MAX_EVENTS + 49])
    assert.equal(run(look, { type: 'events-lost' }).hasLostEvents, true)
  })

  it('says since when it is cut off, across all tries, and keeps what it knows', () => {
    const broken = (now: number): LiveInput => ({ type: 'broken', reason: 'gone', now, retryAt: now + 500 })
    const state = run(look, broken(AT), broken(AT + 900))
    assert.deepEqual(state.link, { status: 'reconnecting', since: AT, retryAt: AT + 1_400, reason: 'gone' })
    assert.equal(state.view?.workers.length, 2)
    assert.equal(reduce(state, look).link.status, 'live')
    assert.equal(reduce(state, { type: 'refused', reason: 'no' }).link.status, 'refused')
  })

  it('is stale when it hears nothing while it should, until it hears again', () => {
    const stale = run(look, { type: 'silence', now: AT })
    assert.deepEqual(stale.link, { status: 'stale', since: AT })
    assert.equal(reduce(stale, { type: 'silence', now: AT + 1_000 }), stale)
    assert.equal(reduce(stale, change({})).link.status, 'live')
  })

  it('takes no change of what it has never seen', () => {
    assert.equal(run(change({ workers: [testWorker(1)] })), NOTHING_YET)
  })
})
