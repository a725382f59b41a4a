import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { codeOf } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { TorControl } from '../tor/control/client.ts'
import { FakeTor } from '../tor/control/fake-tor.ts'
import { isTaken } from './circuits.ts'
import { warmUp } from './warm-up.ts'

const BUILT = 'BUILT PURPOSE=GENERAL'

/** A Tor with these circuits, which launches more when told to. They stay as they are until somebody changes them. */
async function torWith(t: TestContext, ...circuits: string[]) {
  let launches = 0
  const tor = new FakeTor((line) => {
    if (line === 'PROTOCOLINFO 1') return '250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n'
    if (line === 'GETINFO circuit-status') return `250+circuit-status=\r\n${circuits.join('\r\n')}\r\n.\r\n250 OK\r\n`
    if (line.startsWith('EXTENDCIRCUIT 0')) {
      circuits.push(`${100 + launches} LAUNCHED PURPOSE=GENERAL`)
      return `250 EXTENDED ${100 + launches++}\r\n`
    }
    return '250 OK\r\n'
  })
  const control = await TorControl.over(tor.stream, { method: 'owned-socket' }, {}, t.signal)
  t.after(() => control[Symbol.asyncDispose]())
  const clock = new FakeClock()
  return {
    tor,
    clock,
    launched: () => launches,
    warm: () => warmUp(control, { worker: 'tor01', clock, isTaken }, t.signal),
    /** Every circuit under way becomes this. */
    become(status: string) {
      const changed = circuits.flatMap((circuit, n) => (circuit.includes('LAUNCHED') ? [n] : []))
      const ids = changed.map((n) => circuits[n]?.split(' ')[0])
      if (status === 'BUILT') for (const n of changed) circuits[n] = `${circuits[n]?.split(' ')[0]} ${BUILT}`
      else for (const n of changed.reverse()) circuits.splice(n, 1)
      for (const id of ids) tor.send(`650 CIRC ${id} ${status} PURPOSE=GENERAL\r\n`)
    },
  }
}

/** Lets everything happen that can happen by itself. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('warmUp()', { timeout: 10_000 }, () => {
  it('is content with circuits that are there', async (t) => {
    const { warm, launched, clock } = await torWith(t, `1 ${BUILT}`, `2 ${BUILT}`)
    await warm()
    assert.equal(launched(), 0)
    assert.equal(clock.pending, 0)
  })

  it("counts neither circuits of identities nor Tor's own, and has the missing ones built", async (t) => {
    const { warm, launched, become } = await torWith(
      t,
      `1 ${BUILT}`,
      `2 ${BUILT} SOCKS_USERNAME="somebody"`,
      `3 BUILT BUILD_FLAGS=IS_INTERNAL PURPOSE=GENERAL`,
      `4 BUILT BUILD_FLAGS=ONEHOP_TUNNEL,IS_INTERNAL PURPOSE=GENERAL`,
      '5 BUILT PURPOSE=HS_CLIENT_REND',
    )
    const warming = warm()
    await settled()
    assert.equal(launched(), 1)
    become('BUILT')
    await warming
    assert.equal(launched(), 1)
  })

  it('waits for circuits that are under way anyway', async (t) => {
    const { warm, launched, become } = await torWith(t, '1 LAUNCHED PURPOSE=GENERAL', '2 LAUNCHED PURPOSE=GENERAL')
    const warming = warm()
    await settled()
    become('BUILT')
    await warming
    assert.equal(launched(), 0)
  })

  it('launches no more than six when all of them fail, and gives up in the end', async (t) => {
    const { warm, launched, become, clock } = await torWith(t)
    const warming = assert.rejects(warm(), (error: Error) => {
      assert.match(error.message, /worker tor01: its Tor built 0 of 2 circuits in 30000 ms/)
      return codeOf(error) === 'tor_timeout'
    })
    for (let round = 0; round < 10; round++) {
      await settled()
      become('FAILED')
    }
    assert.equal(launched(), 6)
    await clock.advance(30_000)
    await warming
    assert.equal(clock.pending, 0)
  })

  it('fails when Tor goes', async (t) => {
    const { warm, tor } = await torWith(t)
    const warming = warm()
    await settled()
    tor.end()
    await assert.rejects(warming, /closed the control connection/)
  })
})
