/**
 * The driver of OpenWrt boxes keeps the promise of a worker driver, with a real box, tunnel and Tor. Run it as real root in an
 * empty network namespace: `unshare --net node --test test/openwrt/openwrt-driver.test.ts`.
 */
import { readFileSync } from 'node:fs'
import { after, before } from 'node:test'
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
import type { DriverSubject } from '../contracts/driver-subject.ts'
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
  const driver = new OpenwrtDriver({ id: 'tor01', tunnel: tunnel.n, clearnet, shell, tunnels, ...common })
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
