import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HealthState } from '../domain/worker.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { HealthHistory } from './health-history.ts'

const HOUR_MS = 3_600_000

function createHistory() {
  const clock = new FakeClock(10 * HOUR_MS)
  const history = new HealthHistory(clock)
  const change = (from: HealthState, to: HealthState) =>
    history.recorded({
      ...{ id: 1, at: clock.now(), severity: 'info', text: '' },
      event: { type: 'health_changed', worker: 'tor01', from, to, reason: '' },
    })
  const states = (state: HealthState) => history.of('tor01', { state, since: 1 }).map((past) => past.state)
  return { clock, history, change, states }
}

describe('HealthHistory', () => {
  it('begins with the state that the first change was from, at the start of the service', async () => {
    const { clock, history, change } = createHistory()
    assert.deepEqual(history.of('tor01', { state: 'starting', since: 7 }), [{ state: 'starting', since: 7 }])
    await clock.advance(5_000)
    change('starting', 'healthy')
    assert.deepEqual(history.of('tor01', { state: 'healthy', since: 0 }), [
      { state: 'starting', since: 10 * HOUR_MS },
      { state: 'healthy', since: 10 * HOUR_MS + 5_000 },
    ])
  })

  it('forgets a state an hour after it has ended, and keeps the present one', async () => {
    const { clock, change, states } = createHistory()
    await clock.advance(60_000)
    change('starting', 'healthy')
    await clock.advance(HOUR_MS - 1)
    assert.deepEqual(states('healthy'), ['starting', 'healthy'])
    await clock.advance(1)
    assert.deepEqual(states('healthy'), ['healthy'])
    await clock.advance(50 * HOUR_MS)
    assert.deepEqual(states('healthy'), ['healthy'])
  })

  it('keeps no more than 60', () => {
    const { change, states } = createHistory()
    for (let count = 0; count < 100; count++) {
      change('healthy', 'suspect')
      change('suspect', 'healthy')
    }
    assert.deepEqual([states('healthy').length, states('healthy').at(-1)], [60, 'healthy'])
  })

  it('knows of a worker that comes later, and nothing of one that is gone', async () => {
    const { clock, history, change, states } = createHistory()
    await clock.advance(HOUR_MS / 2)
    history.begin('tor01')
    change('starting', 'healthy')
    assert.equal(history.of('tor01', { state: 'healthy', since: 0 })[0]?.since, 10.5 * HOUR_MS)
    history.forget('tor01')
    assert.deepEqual(states('dead'), ['dead'])
  })
})
