import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EventBody } from '../api/bodies.ts'
import { bytesOf, fileNameOf, MAX_CHARACTERS, shownBody } from './body-text.ts'
import { EVERYTHING, isWanted, newestFirst, pathOf, textOf } from './event-filter.ts'

function event(id: number, changes: Partial<EventBody> = {}): EventBody {
  const at = '2026-01-31T12:00:00.000Z'
  return {
    id,
    at,
    type: 'health_changed',
    severity: 'info',
    worker: 'tor01',
    replica: null,
    text: `Event ${id}`,
    details: {},
    ...changes,
  }
}

describe('a filter of events', () => {
  it('wants what fits all of it', () => {
    const filter = { ...EVERYTHING, severities: ['warn', 'error'], worker: 'tor01', text: 'EVENT' }
    assert.ok(isWanted(event(1), EVERYTHING))
    assert.ok(isWanted(event(1, { severity: 'warn' }), filter))
    for (const other of [{}, { severity: 'warn', worker: null }, { severity: 'error', text: 'else' }] as const)
      assert.ok(!isWanted(event(1, other), filter))
  })

  it('finds what happened at another gateway by its name', () => {
    const elsewhere = event(1, { replica: 'gw2' })
    assert.equal(textOf(elsewhere), 'gw2: Event 1')
    assert.equal(textOf(event(1)), 'Event 1')
    assert.ok(isWanted(elsewhere, { ...EVERYTHING, text: 'GW2' }))
    assert.ok(!isWanted(event(1), { ...EVERYTHING, text: 'gw2' }))
  })

  it('asks the service for what it can filter itself', () => {
    assert.equal(pathOf({ ...EVERYTHING, text: 'x' }, { isWorker: false, limit: 9 }), undefined)
    assert.equal(
      pathOf(
        { severities: ['error', 'warn'], type: 'tor_restarted', worker: 'tor01', text: 'x' },
        { isWorker: true, limit: 9 },
      ),
      '/api/v1/events?severity=error%2Cwarn&type=tor_restarted&worker=tor01&limit=9',
    )
    assert.equal(pathOf({ ...EVERYTHING, worker: 'tor' }, { isWorker: false, limit: 9 }), '/api/v1/events?limit=9')
  })

  it('shows each event once, the newest first', () => {
    assert.deepEqual(
      newestFirst([event(1), event(3)], [event(3), event(4)]).map(({ id }) => id),
      [4, 3, 1],
    )
  })
})

describe('the body of an answer', () => {
  it('is shown as far as a page can bear', () => {
    assert.deepEqual(shownBody('abc', 'text'), { text: 'abc', leftOut: 0 })
    const long = shownBody('x'.repeat(MAX_CHARACTERS + 7), 'text')
    assert.deepEqual([long.text?.length, long.leftOut], [MAX_CHARACTERS, 7])
    assert.equal(shownBody('AAEC', 'base64').text, undefined)
  })

  it('is the same bytes in a file', () => {
    assert.deepEqual([...bytesOf('AAH/', 'base64')], [0, 1, 255])
    assert.deepEqual([...bytesOf('ä', 'text')], [0xc3, 0xa4])
  })

  it('has a harmless name', () => {
    const names = [
      'http://a.test/',
      'http://a.test/x/page.html?q',
      'http://a.test/%2e%2e%2f.bashrc',
      'http://a.test/...',
    ]
    assert.deepEqual(names.map(fileNameOf), ['a.test', 'page.html', '2e-2e-2f.bashrc', 'body'])
  })
})
