import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Way } from '../load/order.ts'
import type { Loader } from './loader.ts'
import type { Room } from './room.ts'
import { ROOT } from './root.ts'
import type { TorPorts } from './tors.ts'

/** What CBTOR is measured against. */
export interface Contestant {
  readonly id: string
  readonly title: string
  readonly version: string
  /** By which it is used for tunnels. */
  readonly way: Way
  /** For plain http as it is, where it takes that. */
  readonly absolute?: Way
  /** Of all its processes; none where tor itself is the contestant, as the tors serve everybody. */
  readonly pids: readonly number[]
}

/** One that is not here, and why. */
export interface Missing {
  readonly id: string
  readonly title: string
  readonly missing: string
}

export type Peer = Contestant | Missing

/** Tells when something listens: the load generator, which is where they are. */
type PortWatch = Pick<Loader, 'listening'>

/** Where they run, as far as they need it. */
export type PeersRoom = Pick<Room, 'run' | 'start' | 'logOf'>

export interface PeersOptions {
  readonly loader: PortWatch
  /** For files that are written for them. */
  readonly directory: string
  readonly tors: TorPorts
  /** Added to their ports, so that there can be a second set of them. */
  readonly offset?: number
  /** A second row of privoxy, which has `forward-socks5` rather than `forward-socks5t`: it waits for a stream before it sends. */
  readonly hasPatientPrivoxy?: boolean
}

/** One by one: who does not come up is told of, and the others do. */
export async function startPeers(room: PeersRoom, options: PeersOptions): Promise<readonly Peer[]> {
  const { directory, tors, offset = 0, hasPatientPrivoxy = false } = options
  const at = (port: number) => port + offset
  return await startEach(room, options.loader, [
    { id: 'tor', title: 'bare tor', version: versionOfTor, way: { kind: 'socks', ports: tors.socks }, parts: [] },
    {
      ...{ id: 'tor-http-tunnel', title: 'tor HTTPTunnelPort', version: versionOfTor, parts: [] },
      way: { kind: 'connect', ports: tors.httpTunnel },
    },
    haproxyTcp('socks', 'haproxy-tcp', 'haproxy → tor', at(9_100), tors.socks),
    haproxyPrivoxy('forward-socks5t', directory, at(9_200), tors.socks),
    ...(hasPatientPrivoxy ? [haproxyPrivoxy('forward-socks5', directory, at(9_600), tors.socks)] : []),
    proxyChain(at(9_300), tors.socks),
  ])
}

export interface PeersAloneOptions {
  readonly loader: PortWatch
  /** Of a SOCKS server. */
  readonly upstream: number
}

/** The same programs with no Tor behind them. */
export async function startPeersAlone(
  room: PeersRoom,
  { loader, upstream }: PeersAloneOptions,
): Promise<readonly Peer[]> {
  const upstreams = [upstream, upstream, upstream, upstream]
  return await startEach(room, loader, [
    haproxyTcp('socks', 'haproxy-tcp', 'haproxy', 9_500, upstreams),
    { ...proxyChain(9_600, upstreams), title: 'proxy-chain' },
  ])
}

/** By which a contestant is asked for plain http. */
export function plainWay({ way, absolute }: Contestant): Way {
  return absolute ?? way
}

export function isMissing(peer: Peer): peer is Missing {
  return 'missing' in peer
}

interface Plan extends Omit<Contestant, 'version' | 'pids'> {
  readonly version: (room: PeersRoom) => Promise<string>
  readonly parts: readonly Part[]
}

/** A process. */
interface Part {
  readonly name: string
  readonly command: readonly string[]
  readonly port: number
}

function haproxyTcp(
  kind: 'socks' | 'connect',
  id: string,
  title: string,
  port: number,
  upstreams: readonly number[],
): Plan {
  return {
    ...{ id, title, way: { kind, ports: [port] }, version: (room) => versionOf(room, 'haproxy', '-v') },
    parts: [haproxy('haproxy-tcp', port, upstreams)],
  }
}

function haproxy(config: string, port: number, upstreams: readonly number[]): Part {
  const variables = [`LISTEN=${port}`, ...upstreams.map((upstream, n) => `UPSTREAM${n + 1}=${upstream}`)]
  return {
    ...{ name: `${config}-${port}`, port },
    command: system(['haproxy', '-db', '-f', `${ROOT}/bench/peers/${config}.cfg`], variables),
  }
}

/** Its four privoxies are on the ports from 51 after its own on. */
function haproxyPrivoxy(
  forward: 'forward-socks5' | 'forward-socks5t',
  directory: string,
  port: number,
  upstreams: readonly number[],
): Plan {
  const ports = upstreams.map((_, n) => port + 51 + n)
  const isPatient = forward === 'forward-socks5'
  return {
    id: isPatient ? 'haproxy-privoxy-patient' : 'haproxy-privoxy',
    title: isPatient ? 'haproxy → privoxy, forward-socks5 → tor' : 'haproxy → privoxy → tor',
    version: async (room) =>
      `${await versionOf(room, 'haproxy', '-v')}, ${await versionOf(room, 'privoxy', '--version')}`,
    way: { kind: 'connect', ports: [port] },
    absolute: { kind: 'absolute', ports: [port] },
    parts: [
      ...upstreams.map((upstream, n) => privoxy(forward, directory, ports[n] ?? 0, upstream)),
      haproxy('haproxy-privoxy', port, ports),
    ],
  }
}

function privoxy(forward: string, directory: string, port: number, upstream: number): Part {
  const file = join(directory, `privoxy-${port}.config`)
  const template = readFileSync(`${ROOT}/bench/peers/privoxy.config`, 'utf8')
  mkdirSync(directory, { recursive: true })
  const values = { '@LISTEN@': `${port}`, '@UPSTREAM@': `${upstream}`, '@FORWARD@': forward }
  // In comments, too, where it does no harm.
  writeFileSync(
    file,
    Object.entries(values).reduce((text, [name, value]) => text.replaceAll(name, value), template),
  )
  return { name: `privoxy-${port}`, port, command: system(['privoxy', '--no-daemon', file]) }
}

function proxyChain(port: number, upstreams: readonly number[]): Plan {
  return {
    ...{ id: 'proxy-chain', title: 'proxy-chain → tor', version: versionOfProxyChain },
    way: { kind: 'connect', ports: [port] },
    absolute: { kind: 'absolute', ports: [port] },
    parts: [
      {
        ...{ name: `proxy-chain-${port}`, port },
        command: [process.execPath, `${ROOT}/bench/peers/proxy-chain.ts`, `${port}`, ...upstreams.map(String)],
      },
    ],
  }
}

/** Debian has servers where PATH of somebody who is not root does not lead. `env` becomes the program, which so keeps its pid. */
function system(command: readonly string[], variables: readonly string[] = []): string[] {
  return ['env', `PATH=${process.env.PATH ?? ''}:/usr/sbin:/sbin`, ...variables, ...command]
}

async function startEach(room: PeersRoom, loader: PortWatch, plans: readonly Plan[]): Promise<Peer[]> {
  return await Promise.all(plans.map((plan) => start(room, loader, plan)))
}

async function start(room: PeersRoom, loader: PortWatch, { parts, ...plan }: Plan): Promise<Peer> {
  try {
    const version = await plan.version(room)
    const pids = await Promise.all(parts.map((part) => comeUp(room, loader, part)))
    return { ...plan, version, pids }
  } catch (error) {
    return { id: plan.id, title: plan.title, missing: error instanceof Error ? error.message : String(error) }
  }
}

/** Resolves with its pid once it listens. */
async function comeUp(room: PeersRoom, loader: PortWatch, { name, command, port }: Part): Promise<number> {
  const { pid, child } = room.start(name, command)
  const ended = once(child, 'exit').then(([code]: (number | null)[]) => {
    throw new Error(whyEnded(name, code ?? null, readFileSync(room.logOf(name), 'utf8')))
  })
  await Promise.race([loader.listening(port), ended])
  return pid
}

async function versionOfTor(room: PeersRoom): Promise<string> {
  return await versionOf(room, 'tor', '--version')
}

async function versionOf(room: PeersRoom, program: string, flag: string): Promise<string> {
  try {
    return `${program} ${parseVersion(await room.run(system([program, flag])))}`
  } catch (error) {
    throw new Error(whyNoVersion(program, error), { cause: error })
  }
}

async function versionOfProxyChain(): Promise<string> {
  try {
    const text = readFileSync(`${ROOT}/node_modules/proxy-chain/package.json`, 'utf8')
    return `proxy-chain ${(JSON.parse(text) as { version: string }).version}`
  } catch (error) {
    throw new Error('proxy-chain is not installed: script/setup brings it', { cause: error })
  }
}

/** Of what `--version` says, in the many ways of programs. */
export function parseVersion(said: string): string {
  return /\bversion (\d[\w.+~-]*\w)/i.exec(said)?.[1] ?? 'of a version that it does not tell'
}

/** Of a program that was called by `env`, whose code for what it does not find is 127. */
export function whyNoVersion(program: string, error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string }
  if (code === 127) return `${program} is not installed: script/setup bench brings it`
  return `${program} does not tell its version: ${message ?? String(error)}`
}

/** With the last line of its log, which mostly says it. */
export function whyEnded(name: string, code: number | null, log: string): string {
  const last = log.trim().split('\n').at(-1)
  return `${name} ended with ${code ?? 'a signal'}${last ? `: ${last}` : ''}`
}
