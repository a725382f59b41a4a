import { abortable } from '../lib/abort.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { type Random, systemRandom } from '../lib/random.ts'
import { InsideProcess } from './inside-process.ts'
import { inNetworkOf, whyNoNamespaces } from './namespace.ts'
import {
  clientAddress,
  DOMAIN,
  type Isolation,
  LOOPBACK_SLOTS,
  type NetworkPlan,
  planNetwork,
  siteUrl,
} from './plan.ts'
import type {
  DnsFault,
  LoggedQuery,
  LoggedRequest,
  NetworkFacts,
  OnionClientAuth,
  ProcessStatus,
  Progress,
} from './protocol.ts'

/** With more, Tor's own timeouts would be what is tested. */
const MAX_LATENCY_MS = 1000

export interface TorNetworkOptions {
  /** One-way delay of every connection to a relay, the client's to its guard too. 0 unless told. */
  readonly latencyMs?: number
  /** Asked for, `namespace` fails where it is not allowed; unless told, `loopback` takes its place there. */
  readonly isolation?: Isolation
  readonly onProgress?: (progress: Progress) => void
  readonly clock?: Clock
  readonly random?: Random
}

/** URLs in the network, without a slash at the end. */
export interface NetworkUrls {
  /** `/api/ip` answers as check.torproject.org does. */
  readonly check: string
  readonly httpsCheck: string
  /** Pages and faults of every kind: see `inside/sites/www.ts` and `faults.ts`. */
  readonly www: string
  readonly httpsWww: string
  /** Its certificate is signed by nobody. */
  readonly badCertificate: string
  /** Nothing listens there. */
  readonly refused: string
  /** There is no such name. */
  readonly nowhere: string
  /** The www site as an onion service. */
  readonly onion: string
  /** The same for clients with `privateOnionAuth` only. */
  readonly privateOnion: string
}

/**
 * An internet in a box: a private Tor network of real tor daemons (3 authorities, 2 guards, 4 exits, 2 onion services)
 * with its own DNS and web sites, in a user, network and pid namespace that has no way to the real internet. Needs no
 * privileges. Clients are started by others, with `clientCommand()` and `clientTorrc()`, and reached by unix sockets.
 *
 * Nothing of it stays when it is disposed of, nor when the process that made it ends in whatever way.
 */
export class TorNetwork implements AsyncDisposable {
  readonly isolation: Isolation
  /** What the isolation at hand cannot do, in words; empty in a namespace. */
  readonly lost: readonly string[]
  readonly urls: NetworkUrls
  readonly #plan: NetworkPlan
  readonly #inside: InsideProcess
  readonly #facts: NetworkFacts
  readonly #processes: () => readonly ProcessStatus[]

  private constructor(
    plan: NetworkPlan,
    lost: readonly string[],
    inside: InsideProcess,
    facts: NetworkFacts,
    processes: () => readonly ProcessStatus[],
  ) {
    this.isolation = plan.isolation
    this.lost = lost
    this.urls = networkUrls(plan, facts)
    this.#plan = plan
    this.#inside = inside
    this.#facts = facts
    this.#processes = processes
  }

  /**
   * Resolves when a client could bootstrap at once and use every site and onion service. Rejects with what went wrong
   * and the last lines of the process that it went wrong in, or with the signal's reason, leaving nothing behind.
   */
  static async create(options: TorNetworkOptions = {}, signal?: AbortSignal): Promise<TorNetwork> {
    const { latencyMs = 0, clock = systemClock, random = systemRandom, onProgress = () => {} } = options
    if (!(latencyMs >= 0 && latencyMs <= MAX_LATENCY_MS)) {
      throw new RangeError(`Cannot create the network: latencyMs must be from 0 to ${MAX_LATENCY_MS}, not ${latencyMs}`)
    }
    const { isolation, lost } = await chooseIsolation(options.isolation, signal)
    const shape = { isolation, latencyMs, loopbackSlot: random.int(LOOPBACK_SLOTS) }
    let processes: readonly ProcessStatus[] = []

    await using parts = new AsyncDisposableStack()
    const inside = parts.use(
      new InsideProcess(isolation, clock, {
        onProgress,
        onProcesses: (news) => {
          processes = news
        },
      }),
    )
    const created = inside.call('create', shape)
    const facts = await (signal ? abortable(created, signal) : created)
    const network = new TorNetwork(planNetwork(shape), lost, inside, facts, () => processes)
    parts.move()
    return network
  }

  /** Callers may keep their own files here; they go when the network goes. Its path is short enough for unix sockets. */
  get directory(): string {
    return this.#facts.directory
  }

  /** The certificate by which the https sites are to be trusted. */
  get caFile(): string {
    return this.#facts.caFile
  }

  /** Says in which country each relay is. */
  get geoipFile(): string {
    return this.#facts.geoipFile
  }

  get privateOnionAuth(): OnionClientAuth {
    return this.#facts.privateOnionAuth
  }

  /** A process in the network's namespaces, where there are any: what they are entered by. */
  get namespacePid(): number {
    return this.#inside.pid
  }

  /** The program and first arguments by which a tor is started as a client of this network. */
  clientCommand(): string[] {
    return this.isolation === 'namespace' ? inNetworkOf(this.#inside.pid, ['tor']) : ['tor']
  }

  /**
   * Lines for that client's torrc. SocksPort, DataDirectory, ControlSocket and ConfluxEnabled are the caller's, and so are
   * ClientRejectInternalAddresses and ClientDNSRejectInternalAddresses: 1 in a namespace, as in production, else 0. With a
   * number, 1 to 32, the client has a source address of its own, where there is a namespace: see `blackhole()`.
   */
  clientTorrc({ client }: { readonly client?: number } = {}): string[] {
    const address = client === undefined ? undefined : clientAddress(this.#plan, client)
    return [...this.#facts.clientTorrc, ...(address === undefined ? [] : [`OutboundBindAddress ${address}`])]
  }

  /** Every daemon of the network, as it is now. */
  processes(): readonly ProcessStatus[] {
    return this.#processes()
  }

  /** Ends a process by force, and resolves when it is gone. */
  async kill(name: string): Promise<void> {
    await this.#inside.call('kill', { name })
  }

  /** Freezes a process: it keeps its connections and answers nothing. */
  async stop(name: string): Promise<void> {
    await this.#inside.call('stop', { name })
  }

  /** Thaws a frozen process. */
  async resume(name: string): Promise<void> {
    await this.#inside.call('resume', { name })
  }

  /** Ends a process if it runs, starts it with the keys and files that it had, and resolves when others can use it. */
  async restart(name: string): Promise<void> {
    await this.#inside.call('restart', { name })
  }

  /**
   * Makes an exit refuse exactly `ports` (none: accept all) from now on. Other members are not told: the consensus goes on
   * saying that the exit accepts everything, so clients choose it and are refused.
   */
  async setExitRefuses(exit: string, ports: readonly number[]): Promise<void> {
    await this.#inside.call('refusePorts', { exit, ports })
  }

  /**
   * From now on, everything that the client with this number (of `clientTorrc()`) sends and is sent gets lost without a word,
   * or reaches its end again. Its connections stay, and go on after `false`. Rejects on loopback, where clients are not told apart.
   */
  async blackhole(client: number, isDark: boolean): Promise<void> {
    const address = clientAddress(this.#plan, client)
    if (address === undefined)
      throw new Error('Cannot cut off a client: on loopback, clients have no addresses of their own')
    await this.#inside.call('blackhole', { address, isDark })
  }

  /**
   * How the resolver of the exits answers from now on. Names that an exit has resolved already stay known to it. A client
   * is told of `nxdomain` at once; `servfail` and `timeout` mostly leave its stream waiting, as exits then say nothing.
   */
  async failDns(fault: DnsFault): Promise<void> {
    await this.#inside.call('failDns', { fault })
  }

  /** What the sites were asked, oldest first. */
  async requests(): Promise<readonly LoggedRequest[]> {
    return await this.#inside.call('requests', null)
  }

  /** What the exits asked their resolver, oldest first. */
  async dnsQueries(): Promise<readonly LoggedQuery[]> {
    return await this.#inside.call('dnsQueries', null)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inside[Symbol.asyncDispose]()
  }
}

async function chooseIsolation(
  wanted: Isolation | undefined,
  signal: AbortSignal | undefined,
): Promise<{ isolation: Isolation; lost: string[] }> {
  if (wanted === 'loopback') return { isolation: 'loopback', lost: lostOnLoopback('it was asked for') }
  const whyNot = await whyNoNamespaces(signal)
  if (whyNot === undefined) return { isolation: 'namespace', lost: [] }
  if (wanted === 'namespace') throw new Error(`Cannot make a network namespace: ${whyNot}`)
  return { isolation: 'loopback', lost: lostOnLoopback(whyNot) }
}

function lostOnLoopback(why: string): string[] {
  return [
    `The network runs on the machine's own loopback interface, not in a namespace: ${why}`,
    'All exits show the source address 127.0.0.1, so a site can tell neither one exit from another nor Tor from a direct connection',
    'Private addresses are allowed to clients and exits, as those of the network are private',
    'Sites listen on ports above 1024',
    'No client can be cut off from the relays',
  ]
}

function networkUrls(plan: NetworkPlan, { onionAddress, privateOnionAddress }: NetworkFacts): NetworkUrls {
  return {
    check: siteUrl(plan, 'http', `check.${DOMAIN}`),
    httpsCheck: siteUrl(plan, 'https', `check.${DOMAIN}`),
    www: siteUrl(plan, 'http', `www.${DOMAIN}`),
    httpsWww: siteUrl(plan, 'https', `www.${DOMAIN}`),
    badCertificate: siteUrl(plan, 'https', `badcert.${DOMAIN}`),
    refused: siteUrl(plan, 'http', `refused.${DOMAIN}`),
    nowhere: siteUrl(plan, 'http', `nowhere.${DOMAIN}`),
    onion: `http://${onionAddress}`,
    privateOnion: `http://${privateOnionAddress}`,
  }
}
