import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isMending, parseNodeStatus } from './node-status.ts'

describe("the node's status file", () => {
  it('tells state, reason and age by the clock of the box', () => {
    const text = 'version=1\nchecked=1000\nstate=OFFLINE\nreason=no circuit=none\nsince=900\n'
    assert.deepEqual(parseNodeStatus(text, 1_070), { state: 'OFFLINE', reason: 'no circuit=none', ageMs: 70_000 })
  })

  it('has no age below zero when the clock of the box was set back', () => {
    assert.equal(parseNodeStatus('checked=1000\nstate=HEALTHY\nreason=', 10)?.ageMs, 0)
  })

  it('is none when it was never written, or is something else', () => {
    for (const text of ['', 'state=HEALTHY', 'checked=x\nstate=HEALTHY', 'checked=0\nstate=HEALTHY', 'online'])
      assert.equal(parseNodeStatus(text, 2_000), undefined, text)
  })

  it('holds the gateway back only while the node restarts Tor just now', () => {
    const status = (state: string, ageMs: number) => ({ state, ageMs, reason: undefined })
    assert.equal(isMending(status('RESTARTING', 149_000)), true)
    assert.equal(isMending(status('RESTARTING', 150_000)), false)
    assert.equal(isMending(status('OFFLINE', 0)), false)
  })
})
