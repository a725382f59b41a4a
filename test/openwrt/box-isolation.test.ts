/**
 * Identities are kept apart on a box by their source addresses in the tunnel, as the box's own Tor tells. Run it as real root in an
 * empty network namespace: `unshare --net node --test test/openwrt/box-isolation.test.ts`. Two minutes; needs no internet.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { boxFilePath, readBoxFile } from '../../src/boxes/box-file.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { openTunnels } from '../../src/service-tunnels.ts'
import { SshSession } from '../../src/ssh/session.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { BoxTor } from '../../src/workers/openwrt/box-tor.ts'
import { OpenwrtDriver } from '../../src/workers/openwrt/openwrt-driver.ts'
import { each, eventually } from '../asking.ts'
import { type BoxLab, createBoxLab } from './box-lab.ts'
import { StreamLog } from './stream-log.ts'

const never = new AbortController().signal
/** The addresses 10.201.1.16 to .254. */
const ADDRESSES = 239
const AT_A_TIME = 6

describe('On a box', { timeout: 600_000 }, () => {
  let lab: BoxLab
  let tunnels: Awaited<ReturnType<typeof openTunnels>>
  let session: SshSession
  let control: TorControl
  let log: StreamLog
  let driver: OpenwrtDriver
  let http: Target
  let https: Target

  before(async () => {
    lab = await createBoxLab({ boxes: 1 })
    const config = { state: lab.state, tunnels: {}, log: 'silent' } as const
    tunnels = await openTunnels(config, { clock: systemClock, logger: silentLogger }, never)
    http = targetOf(lab.network.urls.www)
    https = { ...http, port: 443 }
    await startDriver()
    session = new SshSession({ target: sshOf(lab), clock: systemClock })
    const tor = new BoxTor(session, systemClock)
    const credentials = { method: 'cookie', cookie: await tor.cookie(never) } as const
    control = await TorControl.over(await tor.control(never), credentials, {}, never)
    log = await StreamLog.start(control, never)
  })
  after(async () => {
    await driver?.[Symbol.asyncDispose]()
    await control?.[Symbol.asyncDispose]()
    await session?.[Symbol.asyncDispose]()
    await tunnels?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  it('60 identities have 60 circuits, an address each, and keep their exits', async () => {
    const seen = await each(60, AT_A_TIME, async (n) => {
      const first = await connect(identity(`a-${n}`), http)
      const second = await connect(identity(`a-${n}`), https)
      return { first, second }
    })
    for (const { first, second } of seen) {
      assert.deepEqual([first.route, second.route], ['transparent', 'transparent'])
      assert.equal(second.address, first.address)
      assert.ok(first.exit !== undefined && first.exit === second.exit, `${first.exit}, then ${second.exit}`)
      // The site sees the exit that Tor tells of.
      assert.equal(first.seenFrom, first.exit)
    }
    const addresses = seen.map(({ first }) => first.address)
    assert.equal(new Set(addresses).size, 60)
    const circuits = addresses.map((address) => [...log.circuitsOf(address)])
    assert.deepEqual(
      circuits.filter(({ length }) => length !== 1),
      [],
    )
    assert.equal(new Set(circuits.flat()).size, 60)
  })

  it('identities that have the same name of a target, at the same moment, share nothing', async () => {
    const seen = await Promise.all(Array.from({ length: 12 }, (_, n) => connect(identity(`b-${n}`), http)))
    assert.equal(new Set(seen.flatMap(({ address }) => [...log.circuitsOf(address)])).size, 12)
    // And one that is in a hurry still has one address.
    const one = await Promise.all(Array.from({ length: 12 }, () => connect(identity('b-many'), http)))
    assert.equal(new Set(one.map(({ address }) => address)).size, 1)
    assert.ok(!seen.some(({ address }) => address === one[0]?.address))
  })

  it('identities that keep their exit, and onion services, go by SOCKS, apart from all others', async () => {
    const sticky = { ...identity('sticky'), keepsExit: true }
    const kept = [await connect(sticky, http), await connect(sticky, https)]
    const onion = await connect(identity('a-1'), targetOf(lab.network.urls.onion))
    assert.deepEqual(
      [...kept, onion].map(({ route }) => route),
      ['socks', 'socks', 'socks'],
    )
    assert.equal(kept[0]?.exit, kept[1]?.exit)
    assert.equal(log.circuitsOf(sticky.token).size, 1)
    assert.equal(log.circuitsOf('a-1').size, 1)
    assert.deepEqual(log.shared(), [])
  })

  it(`after ${ADDRESSES} identities the next ones go by SOCKS, apart from all others`, async () => {
    const used = log.sources('10.201.1.').length
    const rest = await each(ADDRESSES - used, AT_A_TIME, (n) => connect(identity(`c-${n}`), http))
    assert.deepEqual([...new Set(rest.map(({ route }) => route))], ['transparent'])
    assert.equal(log.sources('10.201.1.').length, ADDRESSES)
    const next = await each(6, AT_A_TIME, (n) => connect(identity(`d-${n}`), http))
    assert.deepEqual([...new Set(next.map(({ route }) => route))], ['socks'])
    for (const n of next.keys()) assert.equal(log.circuitsOf(`d-${n}`).size, 1)
    // Who has an address keeps it.
    assert.equal((await connect(identity('a-1'), http)).route, 'transparent')
    assert.deepEqual(log.shared(), [])
  })

  it('after a restart no identity gets a circuit of one of the former run', async () => {
    for (const run of ['first', 'second']) {
      const before = log.circuits()
      await driver[Symbol.asyncDispose]()
      log.forget()
      await startDriver()
      const seen = await each(12, AT_A_TIME, (n) => connect(identity(`${run}-${n}`), http))
      assert.deepEqual([...new Set(seen.map(({ route }) => route))], ['transparent'])
      // The addresses are those of the former run.
      assert.ok(seen.some(({ address }) => address === '10.201.1.16'))
      assert.deepEqual(
        [...log.circuits()].filter((circuit) => before.has(circuit)),
        [],
      )
      assert.deepEqual(log.shared(), [])
    }
  })

  async function startDriver(): Promise<void> {
    const common = { clock: systemClock, random: systemRandom, logger: silentLogger }
    const shell = new SshSession({ target: sshOf(lab), ...common })
    driver = new OpenwrtDriver({ id: 'tor01', tunnel: 1, clearnet: 'transparent', shell, tunnels, ...common })
    await driver.start(never)
  }

  /** One stream, and what is known of it. From a plain site also what that has seen. */
  async function connect(who: Identity, target: Target) {
    const { socket, route, exit } = await driver.connect(target, who, never)
    const address = socket.localAddress ?? ''
    const key = route === 'socks' ? who.token : address
    // The events come by another connection.
    await eventually(async () => log.circuitsOf(key).size > 0, 5_000)
    const exitAddress = (await exit(5_000))?.address
    let seenFrom: string | undefined
    if (target.port === 80) {
      // Not `end`: Tor takes a half-close for the end of the stream.
      socket.write(`GET /ip HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
      seenFrom = /"ip": ?"([^"]+)"/.exec(await text(socket))?.[1]
    }
    socket.destroy()
    return { route, address, exit: exitAddress, seenFrom }
  }
})

function identity(token: string): Identity {
  return { token, isOneOff: false, keepsExit: false }
}

function sshOf({ state }: BoxLab) {
  const { ssh } = readBoxFile(boxFilePath(state, 'tor01'))
  return { ...ssh, privateKey: readFileSync(ssh.keyFile, 'utf8') }
}

function targetOf(url: string): Target {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 80) }
}
