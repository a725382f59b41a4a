/**
 * The driver of OpenWrt boxes keeps the promise of a worker driver, with a real box, tunnel and Tor. Run it as real root in an
 * empty network namespace: `unshare --net node --test test/openwrt/openwrt-driver.test.ts`.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { boxFilePath, readBoxFile } from '../../src/boxes/box-file.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { openTunnels } from '../../src/service-tunnels.ts'
import { SshSession } from '../../src/ssh/session.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { BoxTor } from '../../src/workers/openwrt/box-tor.ts'
import { OpenwrtDriver } from '../../src/workers/openwrt/openwrt-driver.ts'
import { driverContract } from '../contracts/driver-contract.ts'
import { type DriverSubject, exitsByCountry, identity } from '../contracts/driver-subject.ts'
import { type BoxLab, createBoxLab } from './box-lab.ts'

const never = new AbortController().signal
let lab: BoxLab
let tunnels: Awaited<ReturnType<typeof openTunnels>>

before(async () => {
  lab = await createBoxLab({ boxes: 1 })
  tunnels = await openTunnels(
    { state: lab.state, tunnels: {}, log: 'silent' },
    { clock: systemClock, logger: silentLogger },
    never,
  )
})

after(async () => {
  await tunnels?.[Symbol.asyncDispose]()
  await lab?.[Symbol.asyncDispose]()
})

for (const clearnet of ['transparent', 'socks'] as const)
  driverContract(`openwrt (clearnet: ${clearnet})`, () => subject(clearnet))

describe('the driver of a box lets nothing out but by its tunnel', { timeout: 90_000 }, () => {
  it('never takes an address of this machine for the target', async () => {
    await using parts = await subject('transparent')
    const { driver } = parts
    await driver.start(never)
    // As the public address of a gateway would be; a name that stands for it is for the exit to connect to.
    await ip('address', 'add', '203.0.113.200/32', 'dev', 'lo')
    const server = createServer((peer) => peer.end('secret')).listen(8080, '203.0.113.200')
    await once(server, 'listening')
    try {
      const connecting = driver.connect(
        { host: '203.0.113.200', port: 8080 },
        identity('a'),
        AbortSignal.timeout(15_000),
      )
      await assert.rejects(connecting, (error: Error) => !/secret/.test(error.message))
      // Nor does the firewall let it, were it dialled from an address of the tunnel.
      await assert.rejects(once(connect({ host: '203.0.113.200', port: 8080, localAddress: '10.201.1.16' }), 'connect'))
    } finally {
      server.close()
      await ip('address', 'del', '203.0.113.200/32', 'dev', 'lo')
    }
  })

  it('says no word to whoever answers at the address of the box when there is no tunnel', async () => {
    await using parts = await subject('socks')
    const { driver } = parts
    await driver.start(never)
    const heard: string[] = []
    const rogue = lab.rack.onRouter([
      'sh',
      '-c',
      'ip address add 10.201.1.1/32 dev lo; exec busybox nc -ll -p 9050 -e cat',
    ])
    const listening = spawn(rogue[0] ?? '', rogue.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] })
    listening.stdout.on('data', (bytes: Buffer) => heard.push(bytes.toString('latin1')))
    try {
      await tunnels.down(1, never)
      const target = { host: 'secret.example', port: 80 }
      await assert.rejects(driver.connect(target, identity('a'), AbortSignal.timeout(3_000)))
      await assert.rejects(driver.pulse(AbortSignal.timeout(3_000)))
    } finally {
      listening.kill('SIGKILL')
      const undo = lab.rack.onRouter(['ip', 'address', 'del', '10.201.1.1/32', 'dev', 'lo'])
      await promisify(execFile)(undo[0] ?? '', undo.slice(1)).catch(() => {})
      await tunnels.up(1, never)
    }
    assert.deepEqual(heard, [])
    await driver.stop(never)
    await driver.start(never)
    await driver.pulse(never)
  })
})

async function ip(...args: string[]): Promise<void> {
  await promisify(execFile)('ip', args)
}

async function subject(clearnet: 'transparent' | 'socks'): Promise<DriverSubject> {
  const box = lab.rack.box(1)
  // As the next subject finds it: without a Tor, and without what the one before has changed.
  await box.thawTor().catch(() => {})
  await box.unblockRelays()
  await box.stopTor()
  const { ssh, tunnel } = readBoxFile(boxFilePath(lab.state, 'tor01'))
  const target = { ...ssh, privateKey: readFileSync(ssh.keyFile, 'utf8') }
  const common = { clock: systemClock, random: systemRandom, logger: silentLogger }
  const shell = new SshSession({ target, ...common })
  const exits = { exits: 1, families: 1 }
  const driver = new OpenwrtDriver({ id: 'tor01', tunnel: tunnel.n, clearnet, shell, tunnels, exits, ...common })
  const { urls } = lab.network
  return {
    driver,
    tenure: 'tended',
    target: targetOf(urls.www),
    refused: targetOf(urls.refused),
    unknown: targetOf(urls.nowhere),
    onion: targetOf(urls.onion),
    exitless: { host: '2001:db8::1', port: 80 },
    exitNicknames: lab.network.processes().flatMap(({ name, role }) => (role === 'exit' ? [name] : [])),
    exitIn: exitsByCountry(lab.network.processes()),
    makesUpAddresses: true,
    crash: () => box.killTor(),
    freeze: () => box.freezeTor(),
    thaw: () => box.thawTor(),
    blackhole: (on) => (on ? box.blockRelays('drop') : box.unblockRelays()),
    async loseIsolation() {
      await using session = new SshSession({ target, clock: systemClock })
      const tor = new BoxTor(session, systemClock)
      const credentials = { method: 'cookie', cookie: await tor.cookie(never) } as const
      await using control = await TorControl.over(await tor.control(never), credentials, {}, never)
      const [port, listener] =
        clearnet === 'socks'
          ? ['SocksPort', '0.0.0.0:9050 NoIsolateSOCKSAuth']
          : ['TransPort', '0.0.0.0:9040 NoIsolateClientAddr']
      // A listener that is open stays as it is.
      await control.setConf([[port, '0']], never)
      await control.setConf([[port, listener]], never)
    },
    ...(clearnet === 'transparent' && { isolatedBy: ['CLIENTADDR'] }),
    isAlive: async () => (await box.torPid()) !== undefined,
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  }
}

function targetOf(url: string) {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 80) }
}
