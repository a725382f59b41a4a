/**
 * Where the service's time goes: a profile of it under load, without Tor, for `chrome://inspect` or speedscope, and the functions
 * that take most of it. Ways: connect, socks, absolute, fetch, raw; stream is 2 GB through one tunnel.
 *
 *   node bench/profile.ts WAY [seconds] [concurrency] [--page=small|100k] [--no-profile] [--node=--FLAG]
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadOrder, Way } from './load/order.ts'
import { ALONE_PORTS, startAlone } from './stage/alone.ts'
import { cpuSeconds, Room } from './stage/room.ts'

const args = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))
const [wanted = 'connect', seconds = '5', concurrency = '64'] = args
const asked = process.argv.find((arg) => arg.startsWith('--page='))?.slice('--page='.length)
const nodeFlags = process.argv.flatMap((arg) => (arg.startsWith('--node=') ? [arg.slice('--node='.length)] : []))
const isProfiled = !process.argv.includes('--no-profile')
const WAYS: Readonly<Record<string, Way>> = {
  connect: { kind: 'connect', ports: [ALONE_PORTS.http] },
  stream: { kind: 'connect', ports: [ALONE_PORTS.http] },
  socks: { kind: 'socks', ports: [ALONE_PORTS.socks] },
  absolute: { kind: 'absolute', ports: [ALONE_PORTS.http] },
  fetch: { kind: 'fetch', port: ALONE_PORTS.api, path: '/api/v1/fetch' },
  raw: { kind: 'fetch', port: ALONE_PORTS.api, path: '/api/v1/fetch/raw' },
}
const way = WAYS[wanted]
if (way === undefined) throw new Error(`There is no way "${wanted}"; there are ${Object.keys(WAYS).join(', ')}`)

const directory = mkdtempSync(join(tmpdir(), 'cbtor-profile-'))
const profiles = join(directory, 'profiles')
mkdirSync(profiles)
{
  await using room = await Room.create(directory)
  const flags = [...nodeFlags, ...(isProfiled ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : [])]
  const { loader, cbtor } = await startAlone(room, directory, flags)
  const page = wanted === 'stream' ? '2000mb' : (asked ?? 'small')
  const order: LoadOrder = {
    ...{ way, url: `http://site.cbtor.test:80/${page}`, limitMs: 60_000 },
    ...(wanted === 'stream'
      ? { concurrency: 1, count: 2 }
      : { concurrency: Number(concurrency), seconds: Number(seconds) }),
  }
  await loader.load({ ...order, ...(wanted === 'stream' ? { count: 1 } : { seconds: 1 }) }) // compiled by then
  const before = cpuSeconds(cbtor.pid)
  const result = await loader.load(order)
  const cpu = cpuSeconds(cbtor.pid) - before
  const failed = Object.entries(result.failed).map(([what, count]) => `${count} × ${what}`)
  const mb = result.bytes / 1e6
  print(
    wanted === 'stream'
      ? `${(mb / result.seconds).toFixed(0)} MB/s, ${((cpu / mb) * 1e6).toFixed(0)} µs of processor time a MB`
      : `${(result.ok / result.seconds).toFixed(0)} a second, ${((cpu / result.ok) * 1e6).toFixed(0)} µs of processor time each; failed: ${failed.join(', ') || 'none'}`,
  )
}
for (const file of readdirSync(profiles)) show(join(profiles, file))
if (isProfiled) print(`The whole profile: ${profiles}`)
else rmSync(directory, { recursive: true, force: true })

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly hitCount: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
}

function show(file: string): void {
  const { nodes } = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const total = nodes.reduce((sum, { hitCount }) => sum + hitCount, 0)
  const hits = new Map<string, number>()
  for (const { hitCount, callFrame } of nodes) {
    const place = `${callFrame.functionName || '(anonymous)'} ${callFrame.url.replace(/^.*\/(src|node_modules)\//, '$1/')}:${callFrame.lineNumber + 1}`
    hits.set(place, (hits.get(place) ?? 0) + hitCount)
  }
  const most = [...hits].sort(([, a], [, b]) => b - a).slice(0, 45)
  for (const [place, count] of most) print(`${((100 * count) / total).toFixed(1).padStart(5)} %  ${place}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
