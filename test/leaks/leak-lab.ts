/**
 * The lab of the leak suite, one for all its files: a private Tor network, the service as a process of its own on it, and whoever
 * watches. Observation points: O1 the wire to the outside (`outside.ts`), O2 the system's resolver, O3 what the exits ask theirs,
 * O4 what the sites see, O5 what the workers' Tors tell (`circuit-watch.ts`), O6 what the service leaves written (`gateway.ts`).
 */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { after } from 'node:test'
import { TorNetwork } from '../../src/testnet/network.ts'
import { CLIENTS } from '../../src/testnet/plan.ts'
import type { LoggedRequest } from '../../src/testnet/protocol.ts'
import { Gateway, type GatewayOptions } from './gateway.ts'
import { Outside } from './outside.ts'
import { openSystemResolver, type SystemResolver } from './system-resolver.ts'

export const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04'] as const

/** Those before it are for whoever cuts a client off, and nobody else by that. */
const FIRST_CLIENT = 9

export type GatewayChanges = Pick<GatewayOptions, 'env' | 'wrap' | 'main'> & {
  readonly workers?: readonly unknown[]
  /** False: it is not waited for workers. */
  readonly isReady?: boolean
  readonly config?: Readonly<Record<string, unknown>>
}

export class LeakLab implements AsyncDisposable {
  readonly network: TorNetwork
  readonly outside: Outside
  readonly resolver: SystemResolver
  readonly #owned: AsyncDisposableStack
  /** Clients of the network have a number each. */
  #clients = 0
  #gateways = 0

  static async create(): Promise<LeakLab> {
    await using parts = new AsyncDisposableStack()
    // First the wire: a network without one would hide a leak.
    const outside = parts.use(await Outside.open())
    const network = parts.use(await TorNetwork.create({ isolation: 'namespace' }))
    const resolver = parts.use(await openSystemResolver(join(network.directory, 'resolv')))
    // Under the egress lock the service is somebody else, and may find its files.
    chmodSync(network.directory, 0o711)
    return new LeakLab(network, outside, resolver, parts.move())
  }

  private constructor(network: TorNetwork, outside: Outside, resolver: SystemResolver, owned: AsyncDisposableStack) {
    this.network = network
    this.outside = outside
    this.resolver = resolver
    this.#owned = owned
  }

  /** A number of a client of the network. There are not many, so that after a while those of the past have them as well. */
  client(): number {
    return FIRST_CLIENT + (this.#clients++ % (CLIENTS - FIRST_CLIENT + 1))
  }

  /** Workers of the configuration: local ones, on the private network. */
  localWorkers(
    count: number,
    torrc: readonly string[] = [],
    client = () => this.client(),
  ): { kind: string; id: string; torrc: string[] }[] {
    return WORKERS.slice(0, count).map((id) => ({
      kind: 'local',
      id,
      torrc: [...this.network.clientTorrc({ client: client() }), ...torrc],
    }))
  }

  /** The service, with workers of its own. Resolves when all of them are healthy. */
  async gateway({ workers, config = {}, isReady = true, ...others }: GatewayChanges = {}): Promise<Gateway> {
    const { network } = this
    const gateway = await Gateway.start({
      ...others,
      directory: join(network.directory, `g${++this.#gateways}`),
      config: {
        workers: workers ?? this.localWorkers(WORKERS.length),
        tor: { command: network.clientCommand() },
        targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'], ca_file: network.caFile },
        // It is not the guards of this network that have to be spared.
        circuits: { rate: 1_000, burst: 1_000 },
        ...{ limits: { rate: 'off', concurrent: 'off' }, politeness: 'off' },
        checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
        ...config,
      },
    })
    // A test that is left out does not end what others have begun.
    this.#owned.use(gateway)
    try {
      return isReady ? await gateway.ready() : gateway
    } catch (error) {
      await gateway[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Begins to watch: what was before does not count. */
  async watch(): Promise<Watching> {
    await this.outside.reset()
    this.resolver.forget()
    const [requests, queries] = await Promise.all([this.network.requests(), this.network.dnsQueries()])
    return new Watching(this, requests.length, queries.length)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

/** What was seen since it was made. */
export class Watching {
  readonly #lab: LeakLab
  readonly #requests: number
  readonly #queries: number

  constructor(lab: LeakLab, requests: number, queries: number) {
    this.#lab = lab
    this.#requests = requests
    this.#queries = queries
  }

  /** O1 and O2: not one packet, not one question. */
  async nothingLeaked(): Promise<void> {
    const { outside, resolver } = this.#lab
    assert.deepEqual(await outside.counts(), { tried: 0, left: 0, arrived: 0 }, (await outside.offenders()).join('\n'))
    assert.deepEqual(resolver.names, [])
  }

  /** O3: each name that exits asked for, as often as they did; A records alone, as for each of them AAAA is asked as well. */
  async namesAtExits(): Promise<string[]> {
    const queries = (await this.#lab.network.dnsQueries()).slice(this.#queries)
    return queries.flatMap(({ name, type }) => (type === 1 ? [name] : []))
  }

  /** O3: the types of records that were asked for. */
  async typesAtExits(): Promise<Set<number>> {
    return new Set((await this.#lab.network.dnsQueries()).slice(this.#queries).map(({ type }) => type))
  }

  /** O4: requests whose path has `token` in it; all but those of checks without one. */
  async requests(token?: string): Promise<LoggedRequest[]> {
    const all = (await this.#lab.network.requests()).slice(this.#requests)
    return all.filter(({ site, path }) => (token === undefined ? site !== 'check' : path.includes(token)))
  }
}

/** The lab and the service with four workers that most tests use. Both end when all tests of the process have. */
export async function sharedLab(): Promise<{ readonly lab: LeakLab; readonly gateway: Gateway }> {
  shared ??= (async () => {
    const lab = await LeakLab.create()
    ours.use(lab)
    const gateway = await lab.gateway()
    return { lab, gateway }
  })()
  return await shared
}

let shared: Promise<{ readonly lab: LeakLab; readonly gateway: Gateway }> | undefined
const ours = new AsyncDisposableStack()
after(() => ours.disposeAsync())

/** Hosts that nobody on the internet is, in several spellings. 192.0.2/24 and 198.18/15 are some that Tor lets through. */
export const NOT_ON_THE_INTERNET: readonly string[] = [
  ...['127.0.0.1', '2130706433', '0x7f.1', '127.1', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '[::]'],
  ...['10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.1', '192.0.2.1'],
  ...['198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '[fc00::1]', '[fe80::1]', '[ff02::1]'],
  ...['localhost', 'a.localhost', 'printer.local', 'x.internal', 'x.lan', 'x.home.arpa', 'router'],
]
