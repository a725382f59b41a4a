/**
 * What tunnels cost: the memory of the service with 2,000 that carry nothing; and 50 MB through the CONNECT and SOCKS5 ports, and by
 * POST /api/v1/fetch, against the same straight through the SOCKS port of the same Tor, in turn and all on one circuit.
 *
 *   node bench/tunnels.ts [downloads each] [tunnels]
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { createApiClient } from '../src/client/client.ts'
import { silentLogger } from '../src/lib/log.ts'
import { TorNetwork } from '../src/testnet/network.ts'
import { TorControl } from '../src/tor/control/client.ts'
import { torDirectory } from '../src/tor/tor-directory.ts'
import { SOCKS_PASSWORD } from '../src/workers/socks-link.ts'

const BYTES = 50_000_000
const [downloads = '5', tunnels = '2000'] = process.argv.slice(2)
const ROOT = new URL('..', import.meta.url).pathname
await using network = await TorNetwork.create()
const state = join(network.directory, 'bench')
const directory = join(state, 'workers', 'tor01')
const file = join(network.directory, 'cbtor.yaml')
const config = {
  ...{ listen: '127.0.0.1:0', state, log: 'warn', auth: 'off' },
  proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0' },
  ...{ limits: { rate: 'off', concurrent: 'off' }, politeness: 'off' },
  workers: [{ kind: 'local', id: 'tor01', torrc: network.clientTorrc() }],
  tor: { command: network.clientCommand(), reject_internal_addresses: network.isolation === 'namespace' },
  targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'] },
  checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
}
writeFileSync(file, JSON.stringify(config))
const service = spawn(
  process.execPath,
  ['--max-semi-space-size=8', join(ROOT, 'src/main.ts'), 'up', '--config', file],
  { stdio: ['ignore', 'inherit', 'pipe'] },
)
const { api, http, socks } = await answering()
const client = createApiClient({ baseUrl: api })
while ((await client.health()).receiving_traffic < 1) await pause(200)

const open: Socket[] = []
const { hostname } = new URL(network.urls.www)
await openTunnels(200) // what is made once is not theirs
await pause(3_000)
const before = residentKiB()
await openTunnels(Number(tunnels))
await pause(3_000)
const alive = open.filter((socket) => !socket.destroyed && !socket.readableEnded).length - 200
const each = (residentKiB() - before) / alive
print(`${alive} idle tunnels: ${each.toFixed(1)} KiB each, ${(residentKiB() / 1024).toFixed(0)} MiB in all`)
for (const socket of open) socket.destroy()

const tor = `socks5h://localhost${torDirectory(directory).socksSocket}`
const url = `${network.urls.www}/bytes/${BYTES}`
const ways: Record<string, string[]> = {
  'straight through Tor': ['-x', tor, '-U', `${await identityOf('key-a:x')}:${SOCKS_PASSWORD}`, url],
  'HTTP port, CONNECT': ['-x', http, '-p', '-U', 'key-a:x', url],
  'HTTP port, absolute': ['-x', http, '-U', 'key-a:x', url],
  'SOCKS5 port': ['-x', socks, '-U', 'key-a:x', url],
  'POST /api/v1/fetch': [
    ...['-H', 'content-type: application/json', `${api}/api/v1/fetch`],
    ...['-d', JSON.stringify({ url, sticky_key: 'a', max_bytes: BYTES, timeout_ms: 120_000 })],
  ],
}
const seconds = new Map(Object.keys(ways).map((way) => [way, [] as number[]]))
for (let n = 0; n < Number(downloads); n++) {
  for (const [way, args] of Object.entries(ways)) {
    const common = ['-sS', '--fail', '-m', '120', '-o', '/dev/null', '-w', '%{time_total}']
    const { stdout } = await promisify(execFile)('curl', [...common, ...args])
    seconds.get(way)?.push(Number(stdout))
  }
}
const straight = median(seconds.get('straight through Tor') ?? [])
for (const [way, all] of seconds) {
  const took = median(all)
  print(`${way.padEnd(20)} ${(BYTES / 1e6 / took).toFixed(1).padStart(5)} MB/s  ${(straight / took).toFixed(2)}`)
}

service.kill('SIGTERM')
await once(service, 'exit')

/** The user name by which Tor knows a client of ours: with it, curl is put on the same circuit. */
async function identityOf(user: string): Promise<string> {
  const signal = AbortSignal.timeout(30_000)
  const { controlSocket, controlCookie } = torDirectory(directory)
  const credentials = { method: 'cookie-file', path: controlCookie } as const
  await using control = await TorControl.open(controlSocket, credentials, { logger: silentLogger }, signal)
  const names = async () => (await control.circuits(signal)).map(({ socksUsername }) => socksUsername)
  const before = new Set(await names())
  await promisify(execFile)('curl', ['-sS', '-o', '/dev/null', '-x', http, '-U', user, `${network.urls.www}/ip`])
  const name = (await names()).find((each) => !before.has(each))
  if (name === undefined) throw new Error('No circuit is of this client alone')
  return name
}

async function openTunnels(count: number): Promise<void> {
  for (let n = 0; n < count; n += 50) await Promise.all(Array.from({ length: 50 }, openTunnel))
}

async function openTunnel(): Promise<void> {
  const socket = connect(Number(new URL(http).port), '127.0.0.1').on('error', () => {})
  socket.write(`CONNECT ${hostname}:80 HTTP/1.1\r\nhost: ${hostname}:80\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  if (!String(answer).startsWith('HTTP/1.1 200')) print(`refused: ${answer}`)
  else open.push(socket)
}

async function answering(): Promise<{ api: string; http: string; socks: string }> {
  let api = ''
  for await (const line of createInterface(service.stderr)) {
    api = /the API answers at (\S+)/.exec(line)?.[1] ?? api
    const [, http, socks] = /the proxy answers at (\S+) and (\S+)/.exec(line) ?? []
    if (http !== undefined && socks !== undefined) return { api, http, socks }
  }
  throw new Error('The service ended')
}

function residentKiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
