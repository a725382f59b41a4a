/**
 * How long the first byte of a new stream on a warm circuit takes, at 20 ms a hop: straight through the SOCKS port of a Tor, as curl
 * speaks it, against CBTOR through the same Tor, request by request in turn. All times are curl's own.
 *
 *   node bench/first-byte.ts [circuits] [requests on each]
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { demoConfig } from '../src/cli/commands/demo.ts'
import { createService } from '../src/service.ts'
import { TorNetwork } from '../src/testnet/network.ts'
import { withoutKeys, withoutLimits } from '../test/integration/lab.ts'

const [circuits = '5', requests = '12'] = process.argv.slice(2)
await using network = await TorNetwork.create({ latencyMs: 20 })
const state = join(network.directory, 'bench')
const demo = demoConfig(network, '127.0.0.1:0', state)
const config = { ...withoutLimits(withoutKeys(demo)), log: 'silent' as const, workers: demo.workers.slice(0, 1) }
await using service = await createService(config, {}, new AbortController().signal)
await service.ready(AbortSignal.timeout(60_000))

const { http = '', socks = '' } = service.proxy
const tor = `socks5h://localhost${join(state, 'workers', 'tor01', 'socks')}`
const curl = promisify(execFile)
let streams = 0

/** A name of its own, so that no connection is there for it: all of them lead to the same site. */
const freshUrl = (scheme: string) => `${scheme}://s${++streams}.cbtor.test/status/200`

type Way = (scheme: string, key: string) => string[]
const ways: Record<string, Way> = {
  'straight through Tor': (scheme, key) => ['-x', tor, '-U', `straight-${key}:x`, freshUrl(scheme)],
  'POST /api/v1/fetch': (scheme, key) => [
    ...['-H', 'content-type: application/json', `${service.url}/api/v1/fetch`],
    ...['-d', JSON.stringify({ url: freshUrl(scheme), sticky_key: key })],
  ],
  'HTTP port': (scheme, key) => ['-x', http, '-U', `key-${key}:x`, freshUrl(scheme)],
  'SOCKS5 port': (scheme, key) => ['-x', socks, '-U', `key-${key}:x`, freshUrl(scheme)],
}

const seconds = async (args: readonly string[]) => {
  const common = [
    '-sS',
    '--fail',
    '-m',
    '30',
    '-o',
    '/dev/null',
    '-w',
    '%{time_starttransfer}',
    '--cacert',
    network.caFile,
  ]
  return Number((await curl('curl', [...common, ...args])).stdout)
}

for (const scheme of ['http', 'https']) {
  const times = new Map(Object.keys(ways).map((way) => [way, [] as number[]]))
  for (let circuit = 0; circuit < Number(circuits); circuit++) {
    const key = `${scheme}${circuit}`
    for (const args of Object.values(ways)) for (let n = 0; n < 2; n++) await seconds(args(scheme, key))
    for (let n = 0; n < Number(requests); n++) {
      for (const [way, args] of Object.entries(ways)) times.get(way)?.push((await seconds(args(scheme, key))) * 1_000)
    }
  }
  const straight = median(times.get('straight through Tor') ?? [])
  for (const [way, all] of times) {
    const ms = median(all)
    print(`${scheme.padEnd(5)} ${way.padEnd(20)} ${ms.toFixed(0).padStart(4)} ms  ${(ms / straight).toFixed(2)}`)
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
