import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ailmentsOf } from './ailments.ts'
import type { BoxVitals } from './box-tor.ts'

const NOW = 1_800_000_000_000
const WELL: BoxVitals = {
  now: NOW,
  node: { state: 'HEALTHY', reason: undefined, ageMs: 60_000 },
  usedPercent: { '/tmp': 20, 'the flash': 80 },
}

describe('the ailments of a box', () => {
  it('are none when it is well, or tells nothing', () => {
    assert.deepEqual(ailmentsOf(WELL, NOW), [])
    const silent = { now: NOW, node: undefined, usedPercent: { '/tmp': undefined, 'the flash': undefined } }
    assert.deepEqual(ailmentsOf(silent, NOW), [])
  })

  it('are what keeps its Tor from starting again, or the box from healing itself', () => {
    const ill: BoxVitals = {
      now: NOW - 600_000,
      node: { state: 'OFFLINE', reason: 'no onion site answers', ageMs: 300_000 },
      usedPercent: { '/tmp': 100, 'the flash': 94 },
    }
    assert.deepEqual(ailmentsOf(ill, NOW), [
      '/tmp is 100 % full, so Tor may not start again; make room, or reboot it',
      'its health script has not run for 5 minutes; see whether cron runs and /tmp has room',
      'its health script calls it OFFLINE: no onion site answers',
      'its clock is 10 minutes behind; see whether it reaches a time server',
    ])
  })
})
