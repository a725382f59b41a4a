import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../inside/run.ts'
import { boxAddress, boxName, FEED_PORT, HOST_ADDRESS, HOST_WIRE, ROUTER_ADDRESS, WAN } from '../plan.ts'
import type { BlockStyle } from '../protocol.ts'

/** What the router does to boxes that are to suffer; everything in it goes by sets of their addresses. */
const TABLE = 'inet cbtor_rack'

export interface WiresOptions {
  /** Network namespaces are kept in files of it, which are gone with our mount namespace. */
  readonly directory: string
  readonly networkPid: number
  readonly relays: readonly string[]
}

/**
 * The virtual cables of the rack. Each goes from the router, which is the private Tor network's namespace, to the host or a box.
 * A box is a new network namespace at each boot, as a kernel that has just started knows nothing; its end of the cable waits
 * in a namespace of its own while the box is off, so that the router sees a link without a carrier, and stays silent.
 */
export class Wires implements AsyncDisposable {
  readonly #directory: string
  readonly #router: string
  readonly #parking: string
  readonly #boxes = new Set<number>()

  private constructor(directory: string) {
    this.#directory = directory
    this.#router = join(directory, 'router.net')
    this.#parking = join(directory, 'parking.net')
  }

  /** Connects the host. When it rejects, nothing of it is left. */
  static async lay({ directory, networkPid, relays }: WiresOptions, signal: AbortSignal): Promise<Wires> {
    const wires = new Wires(directory)
    await writeFile(wires.#router, '')
    await run(['mount', '--bind', `/proc/${networkPid}/ns/net`, wires.#router], '', signal)
    await using undo = new AsyncDisposableStack()
    undo.use(wires)
    await newNamespace(wires.#parking, signal)
    await ip(wires.#router, [`address add ${ROUTER_ADDRESS}/32 dev lo`], signal)
    await wires.#forward(1, signal)
    await nft(wires.#router, routerRules(relays), signal)
    await ip(undefined, [`link add ${WAN} type veth peer name ${HOST_WIRE} netns ${wires.#router}`], signal)
    await ip(undefined, ['link set lo up', ...wanCommands(HOST_ADDRESS)], signal)
    await ip(wires.#router, routerCommands(HOST_WIRE, HOST_ADDRESS), signal)
    undo.move()
    return wires
  }

  /** The file by which others enter the router. */
  get router(): string {
    return this.#router
  }

  /** Lays the cable of box `n`, which is off. */
  async layTo(n: number, signal: AbortSignal): Promise<void> {
    const name = boxName(n)
    const ends = `link add ${name} netns ${this.#router} type veth peer name ${name} netns ${this.#parking}`
    await ip(undefined, [ends], signal)
    this.#boxes.add(n)
    await ip(this.#router, routerCommands(name, boxAddress(n)), signal)
  }

  /** Makes a network namespace for one boot of box `n`, with its wan in it. Returns the namespace's file. */
  async connect(n: number, boot: number, signal: AbortSignal): Promise<string> {
    const file = join(this.#directory, `${boxName(n)}-${boot}.net`)
    await newNamespace(file, signal)
    await ip(this.#parking, [`link set ${boxName(n)} netns ${file} name ${WAN}`], signal)
    await ip(file, ['link set lo up', ...wanCommands(boxAddress(n))], signal)
    return file
  }

  /** Ends what `connect()` made. */
  async disconnect(n: number, file: string, signal: AbortSignal): Promise<void> {
    await ip(file, [`link set ${WAN} down`, `link set ${WAN} netns ${this.#parking} name ${boxName(n)}`], signal)
    await run(['umount', file], '', signal)
  }

  /** Pulls or plugs the router's end of the cable of box `n`: the box sees its carrier go, the router knows no way to it. */
  async plug(n: number, isPlugged: boolean, signal: AbortSignal): Promise<void> {
    const up = routerCommands(boxName(n), boxAddress(n))
    await ip(this.#router, isPlugged ? up : [`link set ${boxName(n)} down`], signal)
  }

  /** Loses everything that box `n` sends and is sent, without a word. */
  async darken(n: number, isDark: boolean, signal: AbortSignal): Promise<void> {
    await this.#mark('dark', n, isDark, signal)
  }

  async blockRelays(n: number, style: BlockStyle | null, signal: AbortSignal): Promise<void> {
    await this.#mark('without_relays', n, style === 'drop', signal)
    await this.#mark('reset_by_relays', n, style === 'reset', signal)
  }

  /** Refuses box `n` the package feed. */
  async blockFeed(n: number, isBlocked: boolean, signal: AbortSignal): Promise<void> {
    await this.#mark('without_feed', n, isBlocked, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const never = new AbortController().signal
    // The router may have ended before us, and its ends of the cables with it.
    const attempts = [
      () => nft(this.#router, `delete table ${TABLE}`, never),
      () => ip(this.#router, [`link delete ${HOST_WIRE}`], never),
      ...[...this.#boxes].map((n) => () => ip(this.#router, [`link delete ${boxName(n)}`], never)),
      () => ip(this.#router, [`address delete ${ROUTER_ADDRESS}/32 dev lo`], never),
      () => this.#forward(0, never),
    ]
    for (const attempt of attempts) await attempt().catch(() => {})
  }

  /** Whatever was set before, `box n` is in the set afterwards, or is not. */
  async #mark(set: string, n: number, isIn: boolean, signal: AbortSignal): Promise<void> {
    const element = `element ${TABLE} ${set} { ${boxAddress(n)} }`
    await nft(this.#router, isIn ? `add ${element}` : `add ${element}\ndelete ${element}`, signal)
  }

  async #forward(value: 0 | 1, signal: AbortSignal): Promise<void> {
    await run([...inNamespace(this.#router), 'sysctl', '-qw', `net.ipv4.ip_forward=${value}`], '', signal)
  }
}

export function inNamespace(file: string): string[] {
  return ['nsenter', `--net=${file}`, '--']
}

/** The end of a cable at the host or at a box. */
function wanCommands(address: string): string[] {
  return [
    `address replace ${address}/32 dev ${WAN}`,
    `link set ${WAN} up`,
    `route replace default via ${ROUTER_ADDRESS} dev ${WAN} onlink`,
  ]
}

function routerCommands(wire: string, address: string): string[] {
  return [`link set ${wire} up`, `route replace ${address}/32 dev ${wire}`]
}

function routerRules(relays: readonly string[]): string {
  const box = 'type ipv4_addr'
  return `
table ${TABLE} {
	set relays { ${box}; ${relays.length > 0 ? `elements = { ${relays.join(', ')} };` : ''} }
	set dark { ${box}; }
	set without_relays { ${box}; }
	set reset_by_relays { ${box}; }
	set without_feed { ${box}; }
	chain in {
		type filter hook prerouting priority raw; policy accept;
		ip saddr @dark drop
		ip daddr @dark drop
		ip saddr @without_relays ip daddr @relays drop
	}
	chain refuse {
		type filter hook input priority filter; policy accept;
		ip saddr @reset_by_relays ip daddr @relays meta l4proto tcp reject with tcp reset
		ip saddr @without_feed tcp dport ${FEED_PORT} reject
	}
	chain out {
		type filter hook output priority raw; policy accept;
		ip daddr @dark drop
		ip saddr @relays ip daddr @without_relays drop
	}
}
`
}

/** Keeps a new network namespace in a file. */
async function newNamespace(file: string, signal: AbortSignal): Promise<void> {
  await writeFile(file, '')
  // By /proc/self, which is right also where /proc is that of another pid namespace than ours.
  await run(['unshare', '--net', '--', 'mount', '--bind', '/proc/self/ns/net', file], '', signal)
}

async function ip(namespace: string | undefined, commands: readonly string[], signal: AbortSignal): Promise<void> {
  const where = namespace === undefined ? [] : inNamespace(namespace)
  await run([...where, 'ip', '-batch', '-'], `${commands.join('\n')}\n`, signal)
}

async function nft(namespace: string, rules: string, signal: AbortSignal): Promise<void> {
  await run([...inNamespace(namespace), 'nft', '-f', '-'], `${rules}\n`, signal)
}
