import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServiceEvent } from '../../domain/events.ts'
import { circuitsRenewed } from '../../domain/events.ts'
import { createTestApp } from '../test-app.ts'

const PAST: readonly ServiceEvent[] = [
  { type: 'service_started', version: '1.2.3' },
  { type: 'health_changed', worker: 'tor01', from: 'starting', to: 'healthy', reason: 'a probe passed' },
  { type: 'health_changed', worker: 'tor02', from: 'starting', to: 'dead', reason: 'its process exited' },
  { type: 'session_rotated', worker: 'tor01' },
]

async function createHistory() {
  const test = await createTestApp()
  for (const event of PAST) test.backend.happen(event)
  const get = async (query: string) => {
    const response = await test.app.inject({ url: `/api/v1/events${query}` })
    assert.equal(response.statusCode, 200, response.body)
    const { events, ...rest } = response.json()
    return { ids: events.map(({ id }: { id: number }) => id), events, ...rest }
  }
  return { ...test, get }
}

describe('GET /api/v1/events', () => {
  it('has what happened, the newest last', async () => {
    await using test = await createHistory()
    const { events, next_since_id, lost } = await test.get('')
    assert.deepEqual(events[2], {
      id: 3,
      at: '1970-01-01T00:00:03.000Z',
      type: 'health_changed',
      severity: 'warn',
      worker: 'tor02',
      replica: null,
      text: 'It happened',
      details: { from: 'starting', to: 'dead', reason: 'its process exited' },
    })
    assert.deepEqual([events.length, events[0].worker, next_since_id, lost], [4, null, 4, false])
  })

  it('filters by type, worker and severity', async () => {
    await using test = await createHistory()
    assert.deepEqual((await test.get('?type=health_changed')).ids, [2, 3])
    assert.deepEqual((await test.get('?type=health_changed,session_rotated&worker=1')).ids, [2, 4])
    assert.deepEqual((await test.get('?worker=tor02')).ids, [3])
    assert.deepEqual((await test.get('?severity=error,warn')).ids, [3])
    assert.deepEqual((await test.get('?severity=error')).ids, [])
  })

  it('gives the newest ones up to the limit, or what comes next after an id, without a gap', async () => {
    await using test = await createHistory()
    assert.deepEqual((await test.get('?limit=2')).ids, [3, 4])
    const seen: number[] = []
    for (let sinceId = 0; sinceId < 4; ) {
      const page = await test.get(`?since_id=${sinceId}&limit=1&type=health_changed,session_rotated`)
      seen.push(...page.ids)
      sinceId = page.next_since_id
    }
    assert.deepEqual(seen, [2, 3, 4])
    assert.deepEqual((await test.get('?since_id=4')).ids, [])
  })

  it('says when events are lost', async () => {
    await using test = await createHistory()
    for (let count = 0; count < 4; count++) test.backend.happen({ type: 'session_rotated', worker: 'tor01' })
    assert.deepEqual(
      [await test.get('?since_id=3'), await test.get('?since_id=2'), await test.get('?since_id=99')].map(
        ({ lost, ids }) => [lost, ids.length],
      ),
      [
        [false, 5],
        [true, 5],
        [true, 5],
      ],
    )
    assert.equal((await test.get('')).lost, false)
  })

  it('writes fields in the way of the API', async () => {
    await using test = await createHistory()
    const exit = { nickname: 'exit1', fingerprint: 'A'.repeat(40) }
    test.backend.happen({ type: 'circuits_renewed', worker: 'tor01', ...circuitsRenewed([exit], [], 3) })
    const { events } = await test.get('?type=circuits_renewed')
    assert.deepEqual(events[0].details, { exits_before: [exit], exits_after: [], exit_changed: null, ms: 3 })
  })
})
