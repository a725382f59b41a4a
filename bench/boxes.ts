/**
 * The two ways into the Tor of a box, side by side over the same tunnel: how long a small GET takes, how fast a download is, and
 * what it costs who resolves a name. On a private Tor network without latency, as real root in an empty network namespace:
 *
 *   sudo unshare --net node bench/boxes.ts [rounds]
 */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { boxFilePath, readBoxFile } from '../src/boxes/box-file.ts'
import type { Target } from '../src/domain/worker.ts'
import { systemClock } from '../src/lib/clock.ts'
import { silentLogger } from '../src/lib/log.ts'
import { systemRandom } from '../src/lib/random.ts'
import { openTunnels } from '../src/service-tunnels.ts'
import { SshSession } from '../src/ssh/session.ts'
import { TorControl } from '../src/tor/control/client.ts'
import { dialThroughSocks } from '../src/tor/socks/dial.ts'
import { dialTransparently, resolveTransparently } from '../src/tor/transparent/dial.ts'
import { BoxTor } from '../src/workers/openwrt/box-tor.ts'
import { OpenwrtDriver } from '../src/workers/openwrt/openwrt-driver.ts'
import { createBoxLab } from '../test/openwrt/box-lab.ts'

const never = new AbortController().signal
const rounds = Number(process.argv[2] ?? 40)
const downloads = Math.max(1, Math.round(rounds / 8))
const SMALL = '/ip'
const LARGE_BYTES = 20_000_000
const LARGE = `/bytes/${LARGE_BYTES}`

/** One request. Milliseconds since its begin. */
interface Sample {
  readonly connectedMs: number
  readonly firstByteMs: number
  /** The last byte. The end of the connection comes 40 ms later at times: relays of one machine wait for a delayed ACK, whatever the way. */
  readonly lastByteMs: number
}

type Ways = readonly (readonly [name: string, fetch: (turn: number) => Promise<Sample>])[]

await using lab = await createBoxLab({ boxes: 1 })
const config = { state: lab.state, tunnels: {}, log: 'silent' } as const
await using tunnels = await openTunnels(config, { clock: systemClock, logger: silentLogger }, never)
const { ssh } = readBoxFile(boxFilePath(lab.state, 'tor01'))
const shellTarget = { ...ssh, privateKey: readFileSync(ssh.keyFile, 'utf8') }
await using transparent = await startDriver('transparent')
await using socks = await startDriver('socks')
await using session = new SshSession({ target: shellTarget, clock: systemClock })
const tor = new BoxTor(session, systemClock)
const credentials = { method: 'cookie', cookie: await tor.cookie(never) } as const
await using control = await TorControl.over(await tor.control(never), credentials, {}, never)
const www: Target = { host: new URL(lab.network.urls.www).hostname, port: 80 }

print(
  `${rounds} requests each, in turn; ${downloads} downloads of ${LARGE_BYTES / 1e6} MB each. Milliseconds, median (p90).\n`,
)
print(['', 'connected', 'first byte', 'last byte'])
await compare('kept identity', rounds, [
  ['socks', () => by(socks, 'kept', www, SMALL)],
  ['transparent', () => by(transparent, 'kept', www, SMALL)],
])
await compare('new identity', rounds, [
  ['socks', (turn) => by(socks, `socks ${turn}`, www, SMALL)],
  ['transparent', (turn) => by(transparent, `transparent ${turn}`, www, SMALL)],
])
await compare('kept identity, without the driver', rounds, [
  ['socks', () => bySocksAlone('bare')],
  ['transparent', (turn) => byTransPortAlone(turn)],
])
const automap = async (isOn: boolean) => control.setConf([['AutomapHostsOnResolve', isOn ? '1' : '0']], never)
await compare('new identity, new name, transparent', rounds, [
  [
    'address looked up at the box',
    async (turn) => {
      await automap(false)
      return by(transparent, `looked up ${turn}`, { host: `looked-up-${turn}.cbtor.test`, port: 80 }, SMALL)
    },
  ],
  [
    'virtual address',
    async (turn) => {
      await automap(true)
      return by(transparent, `virtual ${turn}`, { host: `virtual-${turn}.cbtor.test`, port: 80 }, SMALL)
    },
  ],
])
print(['\n20 MB, an identity each', 'MB/s'])
await compareSpeed([
  ['socks', (turn) => by(socks, `large ${turn}`, www, LARGE)],
  ['transparent', (turn) => by(transparent, `large ${turn}`, www, LARGE)],
])

async function startDriver(clearnet: 'transparent' | 'socks'): Promise<OpenwrtDriver> {
  const common = { clock: systemClock, random: systemRandom, logger: silentLogger }
  const shell = new SshSession({ target: shellTarget, ...common })
  const driver = new OpenwrtDriver({ id: 'tor01', tunnel: 1, clearnet, shell, tunnels, ...common })
  await driver.start(never)
  return driver
}

async function by(driver: OpenwrtDriver, name: string, target: Target, path: string): Promise<Sample> {
  const from = performance.now()
  const identity = { token: `bench ${name}`, isOneOff: false, keepsExit: false }
  const { socket, route } = await driver.connect(target, identity, never)
  if (driver === transparent && route !== 'transparent') throw new Error('There is no source address left')
  return await get(socket, target.host, path, from)
}

async function bySocksAlone(username: string): Promise<Sample> {
  const from = performance.now()
  const auth = { username, password: 'bench' }
  const proxy = { host: '10.201.1.1', port: 9050 }
  return await get(await dialThroughSocks({ proxy, auth, target: www }, never), www.host, SMALL, from)
}

/** The request goes out at once, as nothing is known of the target before it answers. */
async function byTransPortAlone(turn: number): Promise<Sample> {
  const from = performance.now()
  const server = { host: '10.201.1.1', port: 53 }
  const query = { name: www.host, server, from: '10.201.1.2', timeoutMs: 1_000, tries: 3 }
  const address = await resolveTransparently(query, never)
  const source = { host: '10.201.1.254', port: 2_000 + turn }
  return await get(await dialTransparently({ address, port: 80, from: source }, never), www.host, SMALL, from)
}

async function get(socket: Socket, host: string, path: string, from: number): Promise<Sample> {
  const connectedMs = performance.now() - from
  let firstByteMs: number | undefined
  let lastByteMs = 0
  let received = 0
  // Not `end`: Tor takes a half-close for the end of the stream.
  socket.write(`GET ${path} HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
  for await (const chunk of socket) {
    lastByteMs = performance.now() - from
    firstByteMs ??= lastByteMs
    received += (chunk as Buffer).length
  }
  if (firstByteMs === undefined || (path === LARGE && received < LARGE_BYTES))
    throw new Error(`Only ${received} bytes came of ${path}`)
  return { connectedMs, firstByteMs, lastByteMs }
}

/** By turns, so that whatever else the machine does is the same for all. */
async function inTurn(turns: number, ways: Ways): Promise<Map<string, Sample[]>> {
  const samples = new Map(ways.map(([name]) => [name, [] as Sample[]]))
  // The first of each finds things that the others do not have to make again.
  for (let turn = -1; turn < turns; turn++) {
    for (const [name, fetch] of ways) {
      const sample = await fetch(turn + 1)
      if (turn >= 0) samples.get(name)?.push(sample)
    }
  }
  return samples
}

async function compare(what: string, turns: number, ways: Ways): Promise<void> {
  const fields = ['connectedMs', 'firstByteMs', 'lastByteMs'] as const
  const samples = await inTurn(turns, ways)
  const medians: number[][] = []
  for (const [name, taken] of samples) {
    const columns = fields.map((field) => taken.map((sample) => sample[field]))
    medians.push(columns.map((column) => at(column, 0.5)))
    print([
      `${what}: ${name}`,
      ...columns.map((column) => `${at(column, 0.5).toFixed(1)} (${at(column, 0.9).toFixed(1)})`),
    ])
  }
  const [first = [], second = []] = medians
  print([
    '  the second to the first',
    ...second.map((median, index) => `${(median / (first[index] ?? 0)).toFixed(2)} ×`),
  ])
}

async function compareSpeed(ways: Ways): Promise<void> {
  for (const [name, taken] of await inTurn(downloads, ways)) {
    const speeds = taken.map(({ connectedMs, lastByteMs }) => LARGE_BYTES / 1e3 / (lastByteMs - connectedMs))
    print([name, `${at(speeds, 0.5).toFixed(1)} (${at(speeds, 0).toFixed(1)} to ${at(speeds, 1).toFixed(1)})`])
  }
}

function at(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN
}

function print(line: string | readonly string[]): void {
  const text = typeof line === 'string' ? line : line.map((cell, index) => cell.padEnd(index === 0 ? 66 : 16)).join('')
  process.stdout.write(`${text.trimEnd()}\n`)
}
