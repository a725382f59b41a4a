import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { abortable } from '../../lib/abort.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import type { Isolation } from '../plan.ts'
import type { ProcessStatus } from '../protocol.ts'
import { TestBox } from './box.ts'
import { HOST_ADDRESS, MAX_BOXES, ROUTER_ADDRESS } from './plan.ts'
import type { RackFacts } from './protocol.ts'
import { RackProcess } from './rack-process.ts'

const BOXES = 4
const BOOT_DELAY_MS = 1_500
const TMP_MB = 64
const FLASH_MB = 96

/** Kernels put some of these into every new network namespace, switched off. */
const FALLBACK_INTERFACE = /^(?:lo|sit0|tunl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6tnl0|ip6gre0|ifb\d+)$/

/** What the rack needs of the private Tor network, in whose namespace its router is. */
export interface RackNetwork {
  readonly isolation: Isolation
  readonly namespacePid: number
  readonly geoipFile: string
  clientTorrc(): readonly string[]
  processes(): readonly ProcessStatus[]
}

export interface BoxRackOptions {
  /** How many, 1 to `MAX_BOXES`; 4 unless told. */
  readonly boxes?: number
  /** The numbers of those that have no tor and no WireGuard yet. */
  readonly bare?: readonly number[]
  /** The numbers of those whose package manager is `apk`; that of the others is `opkg`. */
  readonly apk?: readonly number[]
  /** Where the rack may make a directory, which goes when the rack goes. */
  readonly directory: string
  /** Where the read-only parts of the boxes are kept from one rack to the next; in the user's cache unless told. */
  readonly layers?: string
  /** From the end of a reboot's shutdown to the next boot. */
  readonly bootDelayMs?: number
  /** Of a box's `/tmp`, in megabytes. */
  readonly tmpMb?: number
  /** Of what a box can write to its flash, in megabytes. */
  readonly flashMb?: number
  readonly clock?: Clock
  readonly onProgress?: (text: string) => void
}

/**
 * Machines that are like OpenWrt boxes, on wires to a private Tor network and to us:
 *
 *     host (our network namespace)       router (the network's namespace)       boxes
 *     wan 192.0.2.2 ──────────────────── 192.0.2.1 ──────────────────────────── wan 192.0.2.11, .12, …
 *                                        relays 203.0.113.*, sites 198.51.100.*
 *
 * Nothing of it stays when it is disposed of, nor when the process that made it ends in whatever way.
 */
export class BoxRack implements AsyncDisposable {
  readonly boxes: readonly TestBox[]
  readonly hostAddress = HOST_ADDRESS
  readonly routerAddress = ROUTER_ADDRESS
  /** A private key in OpenSSH's format that every box accepts for root. */
  readonly clientKeyFile: string
  readonly clientPublicKey: string
  readonly #inside: RackProcess
  readonly #network: RackNetwork

  private constructor(inside: RackProcess, network: RackNetwork, facts: RackFacts, boxes: readonly TestBox[]) {
    this.boxes = boxes
    this.clientKeyFile = facts.clientKeyFile
    this.clientPublicKey = facts.clientPublicKey
    this.#inside = inside
    this.#network = network
  }

  /**
   * The caller must be real root in a network namespace of its own (`unshare --net`) with nothing but a loopback interface
   * in it, which becomes the host. Resolves when every box is up and answers SSH; tor may be bootstrapping still.
   */
  static async create(network: RackNetwork, options: BoxRackOptions, signal?: AbortSignal): Promise<BoxRack> {
    const { boxes: count = BOXES, bare = [], apk = [], directory, clock = systemClock, onProgress = () => {} } = options
    if (!Number.isInteger(count) || count < 1 || count > MAX_BOXES)
      throw new RangeError(`Cannot create the rack: boxes must be from 1 to ${MAX_BOXES}, not ${count}`)
    const whyNot = whyNoRack(network)
    if (whyNot !== undefined) throw new Error(`Cannot create the rack: ${whyNot}`)
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    const boxes: TestBox[] = []

    await using parts = new AsyncDisposableStack()
    const inside = parts.use(
      new RackProcess(clock, { onProgress, onPower: (news) => boxes[news.n - 1]?.onPower(news) }),
    )
    const created = inside.call('create', {
      directory,
      layers: options.layers ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cbtor', 'boxes'),
      networkPid: network.namespacePid,
      relays: network.processes().flatMap(({ role, address }) => (role === 'onion-service' ? [] : [address])),
      clientTorrc: boxTorrc(network),
      geoipFile: network.geoipFile,
      boxes: numbers.map((n) => ({
        n,
        isBare: bare.includes(n),
        packageManager: apk.includes(n) ? ('apk' as const) : ('opkg' as const),
      })),
      bootDelayMs: options.bootDelayMs ?? BOOT_DELAY_MS,
      tmpMb: options.tmpMb ?? TMP_MB,
      flashMb: options.flashMb ?? FLASH_MB,
    })
    const facts = await (signal ? abortable(created, signal) : created)
    for (const n of numbers) boxes.push(new TestBox(inside, clock, n, facts.hostKeys[n - 1] ?? ''))
    const up = Promise.all(boxes.map((box) => box.waitUp().then(() => box.waitSsh())))
    await (signal ? abortable(up, signal) : up)
    const rack = new BoxRack(inside, network, facts, boxes)
    parts.move()
    return rack
  }

  /** Box `n`, from 1. */
  box(n: number): TestBox {
    const box = this.boxes[n - 1]
    if (!box) throw new RangeError(`There is no box ${n} in the rack, which has ${this.boxes.length}`)
    return box
  }

  /** `command`, to be run on the router, where the interfaces `host`, `box1`, `box2`, … are the other ends of all wires. */
  onRouter(command: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.#network.namespacePid}/ns/net`, '--', ...command]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inside[Symbol.asyncDispose]()
  }
}

/** Undefined when a rack can be made here, else what is missing. */
export function whyNoRack(network: Pick<RackNetwork, 'isolation'>): string | undefined {
  if (network.isolation !== 'namespace') return 'the private Tor network is not in a namespace of its own'
  if (process.getuid?.() !== 0) return 'it takes root, as boxes have devices and interfaces of their own'
  const others = interfaces().filter((name) => !FALLBACK_INTERFACE.test(name))
  if (others.length > 0) {
    const found = `this network namespace has ${others.join(', ')}, and it would be changed`
    return `${found}; start the program by "unshare --net", which gives it an empty one`
  }
  return undefined
}

/** In our network namespace; `/sys` may show another one's. */
function interfaces(): string[] {
  return [...readFileSync('/proc/self/net/dev', 'utf8').matchAll(/^\s*([^\s:|]+):/gm)].map(([, name = '']) => name)
}

/** As in production, boxes have nothing to do with private addresses. */
function boxTorrc(network: RackNetwork): string[] {
  return [...network.clientTorrc(), 'ClientRejectInternalAddresses 1', 'ClientDNSRejectInternalAddresses 1']
}
