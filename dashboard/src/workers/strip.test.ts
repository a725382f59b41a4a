import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { stretchesOf, stripText } from './strip.ts'

const NOON = Date.parse('2026-01-31T12:00:00.000Z')
const at = (minutes: number) => new Date(NOON + minutes * 60_000).toISOString()

describe('stretchesOf()', () => {
  it('is the last hour, from an hour ago to now', () => {
    const history = [
      { state: 'healthy' as const, since: at(-90) },
      { state: 'dead' as const, since: at(-30) },
      { state: 'recovery' as const, since: at(-15) },
    ]
    const stretches = stretchesOf(history, NOON)
    assert.deepEqual(
      stretches.map(({ state, from, to }) => [state, from, to]),
      [
        ['healthy', 0, 0.5],
        ['dead', 0.5, 0.75],
        ['recovery', 0.75, 1],
      ],
    )
    assert.equal(stripText(stretches), 'healthy 30 min, dead 15 min, recovery 15 min')
  })

  it('leaves empty what is not known, and out what is past or has no length', () => {
    const history = [
      { state: 'dead' as const, since: at(-200) },
      { state: 'starting' as const, since: at(-100) },
      { state: 'suspect' as const, since: at(-6) },
      { state: 'healthy' as const, since: at(-6) },
    ]
    assert.deepEqual(
      stretchesOf(history, NOON).map(({ state, from }) => [state, from]),
      [
        ['starting', 0],
        ['healthy', 0.9],
      ],
    )
    assert.deepEqual(stretchesOf([], NOON), [])
    assert.equal(stripText([]), 'nothing known')
  })
})
