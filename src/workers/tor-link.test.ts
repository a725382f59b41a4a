import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { codeOf } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { TorControl } from '../tor/control/client.ts'
import { FakeTor } from '../tor/control/fake-tor.ts'
import { ScriptedProxy } from '../tor/socks/scripted-proxy.ts'
import { type DriverEvent, NOTHING_KNOWN } from './driver.ts'
import { TorLink } from './tor-link.ts'

const HOP = `$${'A'.repeat(40)}~relay1`
const identity = { token: 'alice', isOneOff: false, keepsExit: false }
const target = { host: 'a.io', port: 80 }
const never = new AbortController().signal

/** Greeting, `alice` or `pulse` with the password `cbtor`. */
const GREETED = ['05 01 02', '>05 02']
const ALICE = ['01 05 61 6c 69 63 65 05 63 62 74 6f 72', '>01 00']
const PULSE = ['01 05 70 75 6c 73 65 05 63 62 74 6f 72', '>01 00']

async function linkTo(t: TestContext, script: string[], answers: Record<string, string | undefined> = {}) {
  const ready: Record<string, string> = {
    'PROTOCOLINFO 1': '250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n',
    'GETINFO events/names': '250-events/names=CIRC STREAM SIGNAL STATUS_CLIENT STATUS_GENERAL\r\n250 OK\r\n',
    'GETINFO circuit-status': '250-circuit-status=\r\n250 OK\r\n',
    'GETINFO version': '250-version=0.4.9.11\r\n250 OK\r\n',
  }
  let isSilent = false
  const tor = new FakeTor((line) =>
    isSilent ? undefined : line in answers ? answers[line] : (ready[line] ?? '250 OK\r\n'),
  )
  const proxy = await ScriptedProxy.listen('unix', script)
  t.after(() => proxy[Symbol.asyncDispose]())
  const control = await TorControl.over(tor.stream, { method: 'owned-socket' }, {}, t.signal)
  t.after(() => control[Symbol.asyncDispose]())
  const clock = new FakeClock()
  const events: DriverEvent[] = []
  const options = { worker: 'tor01', socks: proxy.address, clock, onEvent: (event: DriverEvent) => events.push(event) }
  const link = await TorLink.create(control, options, t.signal)
  const silence = () => {
    isSilent = true
  }
  const tell = (...lines: string[]) => {
    for (const line of lines) tor.send(`650 ${line}\r\n`)
  }
  return { link, tor, proxy, clock, events, silence, tell }
}

const newStream = (iso: string) =>
  `STREAM 7 NEW 0 a.io:80 SOCKS_USERNAME="alice" PURPOSE=USER CLIENT_PROTOCOL=SOCKS5 ISO_FIELDS=${iso}`
const ISOLATED = newStream('SOCKS_USERNAME,SOCKS_PASSWORD,SESSION_GROUP')

describe('TorLink', { timeout: 10_000 }, () => {
  it('says that only the control port is silent', async (t) => {
    const { link } = await linkTo(t, [...GREETED, ...PULSE], { 'GETINFO version': '551 Busy\r\n' })
    await assert.rejects(link.pulse(never), { message: 'Worker tor01 does not answer: its control port is silent' })
  })

  it('asks a Tor that hangs one question, however often it feels its pulse', async (t) => {
    const { link, tor, silence } = await linkTo(t, GREETED)
    silence()
    for (let pulses = 0; pulses < 3; pulses++) {
      const patience = new AbortController()
      const pulse = link.pulse(patience.signal)
      patience.abort(new Error('no longer'))
      await assert.rejects(pulse, { message: /its control port and its SOCKS port are silent/ })
    }
    assert.equal(tor.received.filter((line) => line === 'GETINFO version').length, 1)
  })

  it('does not take the answer to an earlier question for a sign of life now', async (t) => {
    const { link, tor, silence } = await linkTo(t, GREETED)
    silence()
    const begin = () => {
      const patience = new AbortController()
      const pulse = link.pulse(patience.signal)
      return () => {
        patience.abort(new Error('no longer'))
        return assert.rejects(pulse, { message: /its control port and its SOCKS port are silent/ })
      }
    }
    await begin()()
    const endSecond = begin()
    tor.send('250-version=0.4.9.11\r\n250 OK\r\n')
    while (tor.received.filter((line) => line === 'GETINFO version').length < 2)
      await new Promise((resolve) => setImmediate(resolve))
    await endSecond()
  })

  it('says that only the SOCKS port is silent, and leaves no socket behind', async (t) => {
    const { link, proxy } = await linkTo(t, GREETED)
    const patience = new AbortController()
    const pulse = link.pulse(patience.signal)
    await proxy.played
    patience.abort(new Error('no longer'))
    await assert.rejects(pulse, { message: 'Worker tor01 does not answer: its SOCKS port is silent' })
    await proxy.abandoned
  })

  it('closes the stream that causes a storm, in Tor and towards its caller', async (t) => {
    const { link, tor, proxy, events, tell } = await linkTo(t, [...GREETED, ...ALICE])
    const connecting = link.connect(target, identity, never)
    await proxy.played
    tell(ISOLATED)
    for (let n = 0; n < 11; n++)
      tell(`CIRC ${n} LAUNCHED PURPOSE=GENERAL`, `CIRC ${n} EXTENDED ${HOP} PURPOSE=GENERAL SOCKS_USERNAME="alice"`)
    await assert.rejects(connecting, (error) => codeOf(error) === 'no_usable_exit')
    await proxy.abandoned
    assert.ok(tor.received.includes('CLOSESTREAM 7 1'))
    assert.deepEqual(events, [{ type: 'storm-stopped', circuits: 11, ms: 0 }])
  })

  it('tells a Tor that has no exit to use from a target that does not answer', async (t) => {
    for (const [actions, code] of [
      [['NOT_ENOUGH_DIR_INFO'], 'no_usable_exit'],
      [['NOT_ENOUGH_DIR_INFO', 'ENOUGH_DIR_INFO'], 'tor_timeout'],
    ] as const) {
      const { link, proxy, tell } = await linkTo(t, [
        ...GREETED,
        ...ALICE,
        '05 01 00 03 04 61 2e 69 6f 00 50',
        '>05 06',
      ])
      for (const action of actions) tell(`STATUS_CLIENT NOTICE ${action}`)
      const connecting = link.connect(target, identity, never)
      await assert.rejects(connecting, (error) => codeOf(error) === code)
      await proxy.played
    }
  })

  it('takes no stream when Tor does not isolate the first one, and tells so once', async (t) => {
    const { link, proxy, events, tell } = await linkTo(t, [...GREETED, ...ALICE])
    const connecting = link.connect(target, identity, never)
    await proxy.played
    tell(newStream('CLIENTADDR,SOCKS_PASSWORD'))
    await assert.rejects(connecting, /does not isolate streams by SOCKS_USERNAME,/)
    await assert.rejects(link.connect(target, identity, never), (error) => codeOf(error) === 'worker_unreachable')
    assert.equal(proxy.connections, 1)
    assert.deepEqual(events, [{ type: 'isolation-missing', missing: ['SOCKS_USERNAME'] }])
  })

  it('tells what it knows in 2 s when Tor answers some questions, refuses some and hangs at others', async (t) => {
    const { link, clock, tell } = await linkTo(t, [], {
      'GETINFO entry-guards': '551 No such thing\r\n',
      'GETINFO traffic/read traffic/written': '250-traffic/read=12\r\n250-traffic/written=3\r\n250 OK\r\n',
      'GETINFO consensus/valid-after consensus/fresh-until consensus/valid-until':
        '250-consensus/valid-after=\r\n250-consensus/fresh-until=\r\n250-consensus/valid-until=\r\n250 OK\r\n',
      'GETINFO net/listeners/socks': undefined,
    })
    tell('STATUS_GENERAL WARN CLOCK_SKEW SKEW="-3600" MIN_SKEW=100 SOURCE="CONSENSUS"')
    const inspecting = link.inspect(never)
    await clock.advance(2_000)
    assert.deepEqual(await inspecting, {
      ...NOTHING_KNOWN,
      circuits: [],
      traffic: { readBytes: 12, writtenBytes: 3 },
      torVersion: '0.4.9.11',
      clockSkew: { seconds: -3600, noticedAt: 1_000_000 },
    })
  })

  it('knows when new circuits can be had again from whoever ordered the last ones', async (t) => {
    const { link, clock, tell } = await linkTo(t, [])
    assert.equal(link.newCircuitsActAt(), clock.now())
    tell('SIGNAL NEWNYM')
    await clock.advance(4_000)
    assert.equal(link.newCircuitsActAt(), clock.now() + 6_000)
    await clock.advance(60_000)
    assert.equal(link.newCircuitsActAt(), clock.now())
  })
})
