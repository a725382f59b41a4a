import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { systemRandom } from '../../lib/random.ts'
import { TorControl } from '../../tor/control/client.ts'
import { FakeTor } from '../../tor/control/fake-tor.ts'
import type { TransparentDial } from '../../tor/transparent/dial.ts'
import { TransparentResolveError, TransparentUnreachableError } from '../../tor/transparent/errors.ts'
import { ControlWatch } from '../control-watch.ts'
import { SourceAddresses } from './source-addresses.ts'
import { TransparentRoute } from './transparent-route.ts'

const never = new AbortController().signal
const target = { host: 'www.example.com', port: 80 }
const identity = { token: 'alice', isOneOff: false, keepsExit: false }
const HOP = `$${'A'.repeat(40)}~relay1`
const EXIT = `$${'B'.repeat(40)}~exit1`

/** A TransPort that takes everything, as the kernel before a real one does, and a Tor that says what the test says. */
async function lab(
  t: TestContext,
  options: { isHeard?: boolean; name?: () => Promise<string>; refuseFirst?: Error } = {},
) {
  const { isHeard = true, name = async () => '10.128.0.9', refuseFirst } = options
  let isSilent = false
  const tor = new FakeTor((line) => {
    if (isSilent) return undefined
    if (line === 'PROTOCOLINFO 1') return '250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n'
    if (line.startsWith('GETINFO events/names'))
      return '250-events/names=CIRC STREAM SIGNAL STATUS_CLIENT STATUS_GENERAL\r\n250 OK\r\n'
    if (line === 'GETINFO circuit-status')
      return `250-circuit-status=7 BUILT ${HOP},${EXIT} PURPOSE=GENERAL\r\n250 OK\r\n`
    return line === 'GETINFO version' ? '250-version=0.4.9.11\r\n250 OK\r\n' : '250 OK\r\n'
  })
  const control = await TorControl.over(tor.stream, { method: 'owned-socket' }, {}, t.signal)
  const clock = new FakeClock()
  const watch = await ControlWatch.create(control, { worker: 'tor01', clock, onEvent: () => {} }, t.signal)
  const peers: Socket[] = []
  const server = createServer((peer) => peers.push(peer.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  t.after(async () => {
    for (const peer of peers) peer.destroy()
    server.close()
    await control[Symbol.asyncDispose]()
  })
  const dialled: TransparentDial[] = []
  const addresses = new SourceAddresses({ tunnel: 1, clock, random: systemRandom, holdMs: 660_000 })
  const route = new TransparentRoute({
    ...{ worker: 'tor01', tunnel: 1, addresses, clock },
    watch: () => (isHeard ? watch : undefined),
    way: {
      resolve: name,
      async dial(dial) {
        dialled.push(dial)
        if (dialled.length === 1 && refuseFirst !== undefined) throw refuseFirst
        const socket = connect({ host: '127.0.0.1', port })
        await once(socket, 'connect')
        return socket.on('error', () => {})
      },
    },
  })
  /** What Tor tells of the stream that was dialled last. */
  const tell = (status: string, circuit: number, more = '') => {
    const { host, port: source } = dialled.at(-1)?.from ?? { host: '', port: 0 }
    const where = status === 'NEW' ? `SOURCE_ADDR=${host}:${source} ISO_FIELDS=CLIENTADDR` : ''
    tor.send(`650 STREAM 1 ${status} ${circuit} 10.128.0.9:80 ${more} ${where} PURPOSE=USER CLIENT_PROTOCOL=TRANS\r\n`)
  }
  const dialledBy = async (count: number) => {
    while (peers.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  const silence = () => {
    isSilent = true
  }
  return { route, addresses, clock, tor, tell, dialled, dialledBy, peers, silence }
}

/** Lets what has been sent arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('TransparentRoute', { timeout: 10_000 }, () => {
  it('waits for the word of Tor, and names the exit', async (t) => {
    const { route, tell, dialled, dialledBy } = await lab(t)
    const connecting = route.connect(target, identity, never)
    await dialledBy(1)
    assert.equal(dialled[0]?.address, '10.128.0.9')
    assert.match(dialled[0]?.from.host ?? '', /^10\.201\.1\.\d+$/)
    tell('NEW', 0)
    tell('SENTCONNECT', 7)
    tell('REMAP', 7, 'SOURCE=EXIT')
    const connection = await connecting
    assert.equal(connection?.route, 'transparent')
    assert.equal(connection?.isUnconfirmed, undefined)
    assert.equal((await connection?.exit(1_000))?.nickname, 'exit1')
    connection?.socket.destroy()
  })

  it('tells of whose fault it is that there is no stream', async (t) => {
    const { route, tell, dialledBy, peers } = await lab(t)
    const failures = [
      ['REASON=END REMOTE_REASON=RESOLVEFAILED', 'resolve_failed'],
      ['REASON=END REMOTE_REASON=CONNECTREFUSED', 'connection_refused'],
      ['REASON=END REMOTE_REASON=EXITPOLICY', 'exit_policy'],
      ['REASON=TIMEOUT', 'tor_timeout'],
      ['REASON=DESTROY', 'tor_failure'],
    ] as const
    for (const [n, [reason, code]] of failures.entries()) {
      const connecting = route.connect(target, identity, never)
      await dialledBy(n + 1)
      tell('NEW', 0)
      tell('CLOSED', 7, reason)
      await assert.rejects(connecting, (error) => {
        assert.equal(codeOf(error), code)
        return true
      })
      peers.at(-1)?.destroy()
    }
  })

  it('blames nobody when a stream ends without a byte and without a word', async (t) => {
    const { route, tell, dialledBy, peers, clock } = await lab(t)
    const connecting = route.connect(target, identity, never)
    await dialledBy(1)
    tell('NEW', 0)
    await settle()
    peers[0]?.end()
    const failed = assert.rejects(connecting, (error) => codeOf(error) === 'tor_failure')
    while (!peers[0]?.closed) await new Promise((resolve) => setImmediate(resolve))
    await settle()
    await clock.advance(250)
    await failed
  })

  it('hands a stream out unconfirmed when Tor cannot be heard', async (t) => {
    const deaf = await lab(t, { isHeard: false })
    const connection = await deaf.route.connect(target, identity, never)
    assert.equal(connection?.isUnconfirmed, true)
    assert.equal(await connection?.exit(0), undefined)
    connection?.socket.destroy()

    const { route, tell, tor, dialledBy, clock, silence } = await lab(t)
    // It has not taken the stream, so far as we hear.
    const first = route.connect(target, identity, never)
    await dialledBy(1)
    await clock.advance(500)
    const unheard = await first
    assert.equal(unheard?.isUnconfirmed, true)
    // It has, and then does not answer a question any more.
    const second = route.connect(target, identity, never)
    await dialledBy(2)
    tell('NEW', 0)
    await settle()
    await clock.advance(3_000)
    await settle()
    silence()
    await clock.advance(3_000)
    await clock.advance(3_000)
    assert.equal((await second)?.isUnconfirmed, true)
    // It has, and its control connection ends.
    const third = route.connect(target, identity, never)
    await dialledBy(3)
    tell('NEW', 0)
    await settle()
    tor.end()
    assert.equal((await third)?.isUnconfirmed, true)
    for (const each of [unheard, await second, await third]) each?.socket.destroy()
  })

  it('gives way when nobody can say that the target answers, and somebody has to know', async (t) => {
    const deaf = await lab(t, { isHeard: false })
    assert.equal(await deaf.route.connect(target, identity, never, { mustBeConfirmed: true }), undefined)
    assert.deepEqual(deaf.dialled, [])

    const { route, dialledBy, clock, peers } = await lab(t)
    const connecting = route.connect(target, identity, never, { mustBeConfirmed: true })
    await dialledBy(1)
    await clock.advance(500)
    assert.equal(await connecting, undefined)
    while (!peers[0]?.resume().destroyed) await settle()
  })

  it('lets go of everything when its caller leaves', async (t) => {
    const { route, tell, dialledBy, peers, addresses } = await lab(t)
    const leaving = new AbortController()
    const connecting = route.connect(target, identity, leaving.signal)
    await dialledBy(1)
    tell('NEW', 0)
    await settle()
    leaving.abort(new Error('the client left'))
    await assert.rejects(connecting, /the client left/)
    peers[0]?.resume()
    await once(peers[0] ?? createServer(), 'close')
    assert.equal(addresses.available, 238, 'the address is still its identity’s')
  })

  it('says when the box is out of reach, and takes no other way', async (t) => {
    const unreachable = async () => {
      throw new TransparentUnreachableError('Cannot reach the TransPort: EHOSTUNREACH')
    }
    const silent = async () => {
      throw new TransparentResolveError('ETIMEOUT', 'The DNSPort does not resolve the name: ETIMEOUT')
    }
    for (const name of [unreachable, silent]) {
      const { route } = await lab(t, { name })
      await assert.rejects(route.connect(target, identity, never), (error) => codeOf(error) === 'worker_unreachable')
    }
    const { route } = await lab(t, { name: silent })
    await assert.rejects(route.pulse(never), /Worker tor01 does not answer: its DNSPort is silent/)
  })

  it('dials nothing but what stands for a name, so that no answer leads to this machine or past Tor', async (t) => {
    for (const address of ['127.0.0.1', '203.0.113.7', '10.127.255.255', '10.192.0.0', '::1']) {
      const { route, dialled, addresses } = await lab(t, { name: async () => address })
      await assert.rejects(route.connect(target, identity, never), (error) => codeOf(error) === 'worker_unreachable')
      assert.deepEqual(dialled, [])
      assert.equal(addresses.available, 239)
    }
  })

  it('takes another port when somebody has the one that it wanted', async (t) => {
    const taken = Object.assign(new Error('bind EADDRINUSE'), { code: 'EADDRINUSE' })
    const inUse = new TransparentUnreachableError('Cannot reach the TransPort: bind EADDRINUSE', { cause: taken })
    const { route, tell, dialled, dialledBy } = await lab(t, { refuseFirst: inUse })
    const connecting = route.connect(target, identity, never)
    await dialledBy(1)
    tell('NEW', 0)
    tell('REMAP', 7, 'SOURCE=EXIT')
    ;(await connecting)?.socket.destroy()
    assert.equal(new Set(dialled.map(({ from }) => from.port)).size, 2)
  })

  it('gives way when every address is held', async (t) => {
    const { route, addresses, dialled } = await lab(t)
    for (let n = 0; n < 239; n++) addresses.lease(`other ${n}`)
    assert.equal(await route.connect(target, identity, never), undefined)
    assert.deepEqual(dialled, [])
  })
})
