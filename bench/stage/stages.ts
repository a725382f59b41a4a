import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TorNetwork } from '../../src/testnet/network.ts'
import { torVersion } from '../lib/machine.ts'
import type { Way } from '../load/order.ts'
import { SOCKS_PORT, startAlone } from './alone.ts'
import { type Cbtor, waysOf } from './cbtor.ts'
import { Loader } from './loader.ts'
import { type Contestant, isMissing, type Missing, type Peer, plainWay, startPeers, startPeersAlone } from './peers.ts'
import { Room } from './room.ts'
import { startSite } from './site.ts'
import { type PlainTors, startPlainTors, startTors, type Tors } from './tors.ts'

/** A peer that is not here. */
export type Gone = Pick<Missing, 'missing'> & { readonly contestant: string }

/** All contestants on the same four Tors. */
export interface TorStage {
  readonly network: TorNetwork
  readonly room: Room
  readonly loader: Loader
  readonly tors: Tors
  readonly contestants: readonly Contestant[]
  readonly missing: readonly Gone[]
  readonly cbtor: Cbtor
  readonly caFile: string
  /** Of an onion service. */
  readonly onion: string
  /** `HOST:PORT` of the site that costs nothing. */
  readonly site: string
  siteUrl(page: string): string
  /**
   * Has every Tor begin anew with its circuits, and these contestants build theirs. Circuits differ for as long as they live, in the
   * relays that they share and in what Tor takes them to carry: whoever has the better ones would win for a whole run.
   */
  newCircuits(contestants: readonly Contestant[]): Promise<void>
}

export interface AloneStage {
  readonly loader: Loader
  readonly contestants: readonly Contestant[]
  readonly missing: readonly Gone[]
  siteUrl(page: string): string
}

/** Peers before four Tors of their own, which nobody heals. */
export interface FaultStage {
  readonly plain: PlainTors
  readonly contestants: readonly Contestant[]
}

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Sets the stage as it is asked for: one private network at a time. All of it goes when it is disposed of. */
export class Stages implements AsyncDisposable {
  /** Of what took part. */
  readonly versions: Record<string, string> = { node: process.version, tor: torVersion() }
  readonly #say: (what: string) => void
  #network: { readonly latencyMs: number; readonly stage: TorStage; readonly parts: AsyncDisposableStack } | undefined
  #faults: Promise<FaultStage> | undefined

  constructor(say: (what: string) => void) {
    this.#say = say
    for (const signal of ENDING) process.once(signal, this.#onSignal)
  }

  /** With so many milliseconds of delay for each hop, one way. The one before, with others, ends. */
  async tor(latencyMs: 0 | 20): Promise<TorStage> {
    if (this.#network?.latencyMs === latencyMs) return this.#network.stage
    await this.#end()
    this.#say(`a private Tor network, ${latencyMs} ms a hop`)
    await using parts = new AsyncDisposableStack()
    const network = parts.use(await TorNetwork.create({ latencyMs, isolation: 'namespace' }))
    const room = parts.use(Room.of(network))
    const loader = new Loader(room)
    const tors = await startTors(room, network, { directory: network.directory })
    const url = await startSite(room)
    const options = { loader, directory: network.directory, tors: tors.ports, hasPatientPrivoxy: latencyMs > 0 }
    const peers = await startPeers(room, options)
    this.#know(peers)
    const { cbtor } = tors
    const stage: TorStage = {
      ...{ network, room, loader, tors, cbtor, caFile: network.caFile, onion: new URL(network.urls.onion).host },
      contestants: [...peers.filter(isHere), ...ours(cbtor)],
      missing: gone(peers),
      site: new URL(url).host,
      siteUrl: (page) => `${url}/${page}`,
      async newCircuits(contestants) {
        await Promise.all([1, 2, 3, 4].map((n) => cbtor.post(`/api/v1/tor/workers/${n}/newnym`)))
        for (const each of contestants)
          await loader.load({ way: plainWay(each), url: `${url}/small`, concurrency: 4, count: 12, limitMs: 10_000 })
      },
    }
    this.#network = { latencyMs, stage, parts: parts.move() }
    return stage
  }

  /** No Tor anywhere. */
  async alone(): Promise<AloneStage> {
    await this.#end()
    this.#say('a SOCKS port in the place of Tor')
    await using parts = new AsyncDisposableStack()
    const directory = await temporary(parts)
    const room = parts.use(await Room.create(directory))
    const { loader, cbtor } = await startAlone(room, directory)
    const peers = await startPeersAlone(room, { loader, upstream: SOCKS_PORT })
    this.#know(peers)
    const us = { version: '', pids: [cbtor.pid] }
    const stage: AloneStage = {
      loader,
      contestants: [
        { id: 'socks', title: 'no gateway', version: '', way: { kind: 'socks', ports: [SOCKS_PORT] }, pids: [] },
        ...peers.filter(isHere),
        { id: 'cbtor-http', title: 'CBTOR HTTP port', way: cbtor.ways.connect, ...us },
        { id: 'cbtor-socks', title: 'CBTOR SOCKS5 port', way: cbtor.ways.socks, ...us },
      ],
      missing: gone(peers),
      siteUrl: (page) => `http://site.cbtor.test:80/${page}`,
    }
    this.#alone = parts.move()
    return stage
  }

  #alone: AsyncDisposableStack | undefined

  /** On the network without latency. */
  async faults(): Promise<FaultStage> {
    const { network, room, loader } = await this.tor(0)
    this.#faults ??= (async () => {
      this.#say('four more Tors, which nobody heals, and the peers before them')
      const plain = await startPlainTors(room, network, { directory: join(network.directory, 'faults') })
      const directory = join(network.directory, 'faults')
      const peers = await startPeers(room, { loader, directory, tors: plain.ports, offset: 10 })
      const wanted = ['haproxy-tcp', 'haproxy-privoxy', 'proxy-chain']
      return { plain, contestants: peers.filter(isHere).filter(({ id }) => wanted.includes(id)) }
    })()
    return await this.#faults
  }

  /** A service with Tors of its own that builds no circuits ahead. */
  async withoutStock(): Promise<Cbtor> {
    const stage = this.#network?.stage
    if (stage === undefined) throw new Error('There is no network')
    const { network, room } = stage
    const ports = { api: 32_213, http: 8_120, socks: 1_082 }
    const { cbtor } = await startTors(room, network, {
      ...{ directory: network.directory, name: 'cold', ports, firstSocks: 9_071, firstClient: 25 },
      config: { circuits: { stock: 0, rate: 10_000, burst: 10_000 } },
    })
    return cbtor
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const signal of ENDING) process.off(signal, this.#onSignal)
    await this.#end()
  }

  readonly #onSignal = (): void => {
    void this[Symbol.asyncDispose]().finally(() => process.exit(130))
  }

  async #end(): Promise<void> {
    const ended = [this.#network?.parts, this.#alone]
    this.#network = undefined
    this.#alone = undefined
    this.#faults = undefined
    for (const parts of ended) await parts?.disposeAsync()
  }

  #know(peers: readonly Peer[]): void {
    for (const peer of peers) {
      if (isMissing(peer) || peer.version === '') continue
      for (const each of peer.version.split(', ')) {
        const [name = '', version = ''] = each.split(' ')
        this.versions[name] = version
      }
    }
  }
}

/** Seconds from the start of four Tors to the first page through any of them; of CBTOR's, as they are its own. */
export async function pageAfter(
  who: 'bare tor' | 'CBTOR',
  { network, loader, siteUrl }: TorStage,
  directory: string,
): Promise<number> {
  await using parts = new AsyncDisposableStack()
  const own = parts.use(Room.of(network))
  const startedAt = performance.now()
  const until = startedAt + 60_000
  const page = async (way: Way) => {
    for (;;) {
      if (performance.now() > until)
        throw new Error(`No page came through ${who}: see the logs in ${network.directory}`)
      const { ok } = await loader.load({ way, url: siteUrl('small'), concurrency: 1, count: 1, limitMs: 5_000 })
      if (ok > 0) return (performance.now() - startedAt) / 1_000
    }
  }
  if (who === 'bare tor') {
    const plain = startPlainTors(own, network, { directory, firstSocks: 9_081, firstClient: 17 })
    return await andThen(page({ kind: 'socks', ports: [9_081, 9_082, 9_083, 9_084] }), plain)
  }
  const ports = { api: 32_214, http: 8_121, socks: 1_083 }
  const options = { directory, name: 'start', ports, firstSocks: 9_091, firstClient: 21 }
  const tors = startTors(own, network, options)
  return await andThen(page(waysOf(ports).fetch), tors)
}

/** What `first` comes to, once both have: `whole` may fail before that. */
async function andThen<T>(first: Promise<T>, whole: Promise<unknown>): Promise<T> {
  const [value] = await Promise.all([first, whole])
  return value
}

function ours({ ways, pid }: Cbtor): Contestant[] {
  const us = { version: '', pids: [pid] }
  return [
    { id: 'cbtor-fetch', title: 'CBTOR /fetch', way: ways.fetch, ...us },
    { id: 'cbtor-raw', title: 'CBTOR /fetch/raw', way: ways.raw, ...us },
    { id: 'cbtor-http', title: 'CBTOR HTTP port', way: ways.connect, absolute: ways.http, ...us },
    { id: 'cbtor-socks', title: 'CBTOR SOCKS5 port', way: ways.socks, ...us },
  ]
}

function isHere(peer: Peer): peer is Contestant {
  return !isMissing(peer)
}

function gone(peers: readonly Peer[]): Gone[] {
  return peers.filter(isMissing).map(({ title: contestant, missing }) => ({ contestant, missing }))
}

async function temporary(parts: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cbtor-bench-'))
  parts.defer(() => rm(directory, { recursive: true, force: true }))
  return directory
}
