import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ControlConnection } from '../connection.ts'
import { ControlClosedError } from '../errors.ts'
import { FakeTor } from '../fake-tor.ts'
import { newCircuits } from './new-circuits.ts'

const ACTED = '650 SIGNAL NEWNYM\r\n'

/** Tells what has happened to `promise` once everything sent before has been read. */
async function stateOf(promise: Promise<unknown>, tor: FakeTor, control: ControlConnection): Promise<string> {
  let state = 'waiting'
  promise.then(
    () => {
      state = 'done'
    },
    () => {
      state = 'failed'
    },
  )
  const reply = control.send('GETINFO version', new AbortController().signal)
  tor.send('250 OK\r\n')
  await reply
  await setImmediate()
  return state
}

describe('newCircuits()', { timeout: 10_000 }, () => {
  it('waits for the event, which may come with the reply or later', async (t: TestContext) => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const atOnce = newCircuits(control, t.signal)
    tor.send(`250 OK\r\n${ACTED}`)
    await atOnce

    const later = newCircuits(control, t.signal)
    tor.send('250 OK\r\n650 SIGNAL RELOAD\r\n')
    assert.equal(await stateOf(later, tor, control), 'waiting')
    tor.send(ACTED)
    await later
  })

  it('does not take the event of an earlier signal for its own', async (t: TestContext) => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const circuits = newCircuits(control, t.signal)
    tor.send(`${ACTED}250 OK\r\n`)
    assert.equal(await stateOf(circuits, tor, control), 'waiting')
    tor.send(ACTED)
    await circuits
  })

  it('rejects when refused, aborted, or cut off', async (t: TestContext) => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const refused = newCircuits(control, t.signal)
    tor.send('552 Unrecognized signal code "NEWNYM"\r\n')
    await assert.rejects(refused, { code: 552 })

    const patience = new AbortController()
    const aborted = newCircuits(control, patience.signal)
    tor.send('250 OK\r\n')
    assert.equal(await stateOf(aborted, tor, control), 'waiting')
    patience.abort(new Error('enough'))
    await assert.rejects(aborted, /enough/)

    const cutOff = newCircuits(control, t.signal)
    tor.send('250 OK\r\n')
    tor.end()
    await assert.rejects(cutOff, ControlClosedError)
  })
})
