import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { TorControl } from '../../tor/control/client.ts'
import { FakeTor } from '../../tor/control/fake-tor.ts'
import { ScriptedProxy } from '../../tor/socks/scripted-proxy.ts'
import { ControlWatch } from '../control-watch.ts'
import { type ChoosyIdentity, ExitRoute } from './exit-route.ts'

const never = new AbortController().signal
const HOP = `$${'D'.repeat(40)}~guard`
const [GERMAN, DUTCH] = ['A', 'B'].map((digit) => digit.repeat(40)) as [string, string]
const NAME = `${'07'.repeat(16)}.onion`
const alice: ChoosyIdentity = { token: 'alice', exit: { country: 'de', excludeCountries: [], notBy: [] } }
const target = { host: 'a.io', port: 80 }

/** Greeting, `alice` with the password `cbtor`, and the request for NAME. */
const GREETED = ['05 01 02', '>05 02', '01 05 61 6c 69 63 65 05 63 62 74 6f 72', '>01 00']
const ASKED = `05 01 00 03 26 ${Buffer.from(NAME).toString('hex')} 00 50`
const GRANTED = '>05 00 00 01 00 00 00 00 00 00'

const relay = (name: string, fingerprint: string, address: string) =>
  `r ${name} ${Buffer.from(fingerprint, 'hex').toString('base64').slice(0, 27)} 2038-01-01 00:00:00 ${address} 9001 0\r\ns Exit Running Valid\r\nw Bandwidth=100\r\n`

const KNOWN: Record<string, string> = {
  'PROTOCOLINFO 1': '250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n',
  'GETINFO events/names': '250-events/names=CIRC CIRC_MINOR STREAM SIGNAL STATUS_CLIENT STATUS_GENERAL\r\n250 OK\r\n',
  'GETINFO circuit-status': '250-circuit-status=\r\n250 OK\r\n',
  'GETINFO address-mappings/control': '250-address-mappings/control=\r\n250 OK\r\n',
  'GETINFO ns/all': `250+ns/all=\r\n${relay('german', GERMAN, '203.0.113.1')}${relay('dutch', DUTCH, '203.0.113.2')}.\r\n250 OK\r\n`,
  'GETINFO ip-to-country/ipv4-available': '250-ip-to-country/ipv4-available=1\r\n250 OK\r\n',
  'GETINFO ip-to-country/203.0.113.1 ip-to-country/203.0.113.2':
    '250-ip-to-country/203.0.113.1=de\r\n250-ip-to-country/203.0.113.2=nl\r\n250 OK\r\n',
  [`GETINFO md/id/${GERMAN}`]: `250+md/id/${GERMAN}=\r\np accept 80\r\n.\r\n250 OK\r\n`,
}
const MAPPED = `MAPADDRESS ${NAME}=a.io.${GERMAN}.exit`
const UNMAPPED = `MAPADDRESS ${NAME}=${NAME}`

async function lab(t: TestContext, script: string[] = []) {
  let isSilent = false
  const tor = new FakeTor((line) => {
    if (isSilent) return undefined
    return KNOWN[line] ?? (line.startsWith('MAPADDRESS ') ? `250 ${line.slice(11)}\r\n` : '250 OK\r\n')
  })
  const proxy = await ScriptedProxy.listen('unix', script)
  t.after(() => proxy[Symbol.asyncDispose]())
  const control = await TorControl.over(tor.stream, { method: 'owned-socket' }, {}, t.signal)
  t.after(() => control[Symbol.asyncDispose]())
  const clock = new FakeClock()
  const watch = await ControlWatch.create(control, { worker: 'tor01', clock, onEvent: () => {} }, t.signal)
  const route = new ExitRoute(control, watch, {
    ...{ worker: 'tor01', socks: proxy.address, clock },
    exits: { exits: 1, families: 1 },
    random: { float: () => 0, int: () => 0, bytes: (count) => Buffer.alloc(count, 7) },
  })
  let admitted = 0
  const admit = async () => {
    admitted++
    return { [Symbol.dispose]() {} }
  }
  return {
    ...{ tor, proxy, clock, control },
    admitted: () => admitted,
    connect: (identity = alice, earlyData?: Uint8Array, signal = never) =>
      route.connect(target, identity, signal, { admit, ...(earlyData && { earlyData }) }),
    silence: () => {
      isSilent = true
    },
    tell: (...lines: string[]) => {
      for (const line of lines) tor.send(`650 ${line}\r\n`)
    },
  }
}

const NEW = `STREAM 7 NEW 0 ${NAME}:80 SOCKS_USERNAME="alice" PURPOSE=USER CLIENT_PROTOCOL=SOCKS5 ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD`
const builtTo = (exit: string) => `CIRC 3 BUILT ${HOP},$${exit}~exit PURPOSE=GENERAL SOCKS_USERNAME="alice"`
const SENT = `STREAM 7 SENTCONNECT 3 a.io.${GERMAN}.exit:80 SOCKS_USERNAME="alice"`
const SUCCEEDED = `STREAM 7 SUCCEEDED 3 198.51.100.1.${GERMAN}.exit:80 SOCKS_USERNAME="alice"`

describe('ExitRoute', { timeout: 10_000 }, () => {
  it('maps, dials with the early data behind, sees that the exit is right, and takes the mapping away', async (t) => {
    const { tor, tell, connect, proxy } = await lab(t, [...GREETED, `${ASKED} 68 69`, GRANTED])
    const connecting = connect(alice, Buffer.from('hi'))
    await proxy.played
    tell(NEW, builtTo(GERMAN), SENT, SUCCEEDED)
    const { socket, route, exit } = await connecting
    assert.equal(route, 'socks')
    const told = { nickname: 'german', fingerprint: GERMAN, address: '203.0.113.1', country: 'de' }
    assert.deepEqual(await exit(0), told)
    socket.destroy()
    const orders = tor.received.filter((line) => line.startsWith('MAPADDRESS'))
    assert.deepEqual(orders, [MAPPED, UNMAPPED])
  })

  it('hands out no stream of which Tor does not tell the exit', async (t) => {
    const { clock, connect, proxy, tell } = await lab(t, [...GREETED, ASKED, GRANTED])
    const connecting = assert.rejects(connect(), (error: Error) => {
      assert.match(error.message, /does not tell by which exit/)
      return codeOf(error) === 'worker_unreachable'
    })
    await proxy.played
    tell(NEW, builtTo(GERMAN), SENT)
    await clock.advance(5_000)
    await connecting
    await proxy.abandoned
  })

  it('hands out no stream that leaves by another exit', async (t) => {
    const { connect, proxy, tell } = await lab(t, [...GREETED, ASKED, GRANTED])
    const connecting = assert.rejects(connect(), (error) => codeOf(error) === 'tor_failure')
    await proxy.played
    tell(NEW, builtTo(DUTCH), SUCCEEDED)
    await connecting
    await proxy.abandoned
  })

  it('hands out no stream when the control port is lost before the exit is known', async (t) => {
    const { connect, proxy, tor } = await lab(t, [...GREETED, ASKED, GRANTED])
    const connecting = assert.rejects(connect(), (error: Error) => {
      assert.match(error.message, /its control port was lost/)
      return codeOf(error) === 'worker_unreachable'
    })
    await proxy.played
    tor.end()
    await connecting
    await proxy.abandoned
  })

  it('dials nobody when the control port is stuck, however it got stuck', async (t) => {
    const { clock, connect, proxy, silence } = await lab(t)
    const isUnreachable = (error: unknown) => codeOf(error) === 'worker_unreachable'
    // The list and the German exit are known now.
    await assert.rejects(connect({ ...alice, exit: { ...alice.exit, notBy: [GERMAN] } }))
    silence()
    const mapping = assert.rejects(connect(), isUnreachable)
    await clock.advance(3_000)
    await mapping
    const describing = assert.rejects(connect({ ...alice, exit: { ...alice.exit, country: 'nl' } }), isUnreachable)
    await clock.advance(15_000)
    await describing
    assert.equal(proxy.connections, 0)
  })

  it('admits nobody, maps nothing and dials nobody when there is no exit', async (t) => {
    const { admitted, connect, proxy, tor } = await lab(t)
    for (const country of ['fr', 'aq']) {
      const refused = connect({ ...alice, exit: { ...alice.exit, country } })
      await assert.rejects(refused, (error) => codeOf(error) === 'no_exit_for_country_port')
    }
    assert.equal(admitted() + proxy.connections, 0)
    assert.ok(!tor.received.some((line) => line.startsWith('MAPADDRESS')))
  })

  it('does not take a mapping that is gone for an onion address that is wrong', async (t) => {
    const { connect, proxy, tell } = await lab(t, [...GREETED, ASKED, '>05 f6 00 01 00 00 00 00 00 00'])
    const connecting = assert.rejects(connect(), (error) => codeOf(error) === 'tor_failure')
    await proxy.played
    tell(NEW, `STREAM 7 FAILED 0 ${NAME}:80 REASON=TORPROTOCOL SOCKS_USERNAME="alice"`)
    await connecting
  })

  it('hangs up at the first refusal of an exit, and says what it was', async (t) => {
    const { connect, proxy, tell, admitted } = await lab(t, [...GREETED, ASKED])
    const connecting = assert.rejects(connect(), (error) => codeOf(error) === 'exit_policy')
    await proxy.played
    tell(NEW, builtTo(GERMAN), SENT, `STREAM 7 DETACHED 3 a.io.${GERMAN}.exit:80 REASON=END REMOTE_REASON=EXITPOLICY`)
    await connecting
    await proxy.abandoned
    assert.equal(admitted(), 1)
  })

  it('takes the mapping away when the caller leaves', async (t) => {
    const { connect, proxy, tor } = await lab(t, [...GREETED, ASKED])
    const controller = new AbortController()
    const connecting = connect(alice, undefined, controller.signal)
    await proxy.played
    controller.abort(new Error('the client left'))
    await assert.rejects(connecting, /the client left/)
    await proxy.abandoned
    while (!tor.received.includes(UNMAPPED)) await new Promise((resolve) => setImmediate(resolve))
  })
})
