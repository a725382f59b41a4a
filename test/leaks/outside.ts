/**
 * The rest of the world, as the namespace of the suite sees it: one wire with a default route for both families, at whose other
 * end everything is counted and dropped. With all traffic in Tor, which is reached by unix sockets, nothing may use it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'

const TABLE = 'inet cbtor_seen'
const WIRE = 'wan'
const OURS = { v4: '192.0.2.2', v6: '2001:db8:1::2' }
const THEIRS = { v4: '192.0.2.1', v6: '2001:db8:1::1' }

/** In packets, since the last `reset`. */
export interface WireCounts {
  /** What programs here wanted to send by the wire, before any firewall. */
  readonly tried: number
  /** What was about to leave, after every firewall. */
  readonly left: number
  /** What arrived at the other end. */
  readonly arrived: number
}

export class Outside implements AsyncDisposable {
  readonly #holder: ChildProcess

  private constructor(holder: ChildProcess) {
    this.#holder = holder
  }

  /** Takes an empty network namespace, as `script/leak-test` makes it. */
  static async open(): Promise<Outside> {
    const links = await readdir('/sys/class/net').catch(() => [])
    const { stdout } = await promisify(execFile)('ip', ['-json', 'link'])
    const names = (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname)
    if (names.length !== 1 || process.getuid?.() !== 0) {
      throw new Error(`Cannot watch this network (${names.join(', ')}; ${links.length} in sight): use script/leak-test`)
    }
    // It ends with us, and the wire with it.
    const holder = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'unshare', '--net', 'sh', '-c', 'echo; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const outside = new Outside(holder)
    try {
      await once(holder.stdout ?? holder, 'data')
      await outside.#lay()
      return outside
    } catch (error) {
      await outside[Symbol.asyncDispose]()
      throw error
    }
  }

  async counts(): Promise<WireCounts> {
    const [here, there] = await Promise.all([counters([]), counters(this.#there)])
    return { tried: here.tried ?? 0, left: here.left ?? 0, arrived: there.arrived ?? 0 }
  }

  /** Where packets were to go that `tried` counts: `address protocol port`. */
  async offenders(): Promise<string[]> {
    const { stdout } = await promisify(execFile)('nft', ['-j', 'list', 'table', ...TABLE.split(' ')])
    const sets = (JSON.parse(stdout) as { nftables: { set?: { name: string; elem?: unknown[] } }[] }).nftables
    return sets.flatMap(({ set }) => (set?.elem ?? []).map((element) => JSON.stringify(element)))
  }

  async reset(): Promise<void> {
    await nft([], countingRules())
    await nft(this.#there, ARRIVALS)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return
    const closed = once(this.#holder, 'close')
    this.#holder.kill('SIGKILL')
    await closed
    await nft([], `table ${TABLE} { }\ndelete table ${TABLE}`)
  }

  get #there(): readonly string[] {
    return ['nsenter', '--target', `${this.#holder.pid}`, '--net', '--']
  }

  async #lay(): Promise<void> {
    await ip(
      [],
      [
        'link set lo up',
        `link add ${WIRE} type veth peer name far netns ${this.#holder.pid}`,
        `address add ${OURS.v4}/24 dev ${WIRE}`,
        `address add ${OURS.v6}/64 dev ${WIRE} nodad`,
        `link set ${WIRE} up`,
      ],
    )
    await ip(this.#there, [
      'link set lo up',
      `address add ${THEIRS.v4}/24 dev far`,
      `address add ${THEIRS.v6}/64 dev far nodad`,
      'link set far up',
    ])
    await ip([], [`route add default via ${THEIRS.v4}`, `-6 route add default via ${THEIRS.v6}`])
    await this.reset()
  }
}

/** What the kernel itself says to find its neighbours. */
const NEIGHBOURS =
  'icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } return'

const ARRIVALS = `
table inet arrivals { }
delete table inet arrivals
table inet arrivals {
	counter arrived { }
	chain arriving {
		type filter hook prerouting priority -300; policy accept;
		iifname != "far" return
		${NEIGHBOURS}
		counter name arrived drop
	}
}
`

function countingRules(): string {
  return `
table ${TABLE} { }
delete table ${TABLE}
table ${TABLE} {
	counter tried { }
	counter left { }
	set offenders4 { type ipv4_addr . inet_proto . inet_service; flags dynamic; size 1024; }
	set offenders6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; size 1024; }
	chain trying {
		type filter hook output priority -300; policy accept;
		oifname != "${WIRE}" return
		${NEIGHBOURS}
		counter name tried
		meta l4proto { tcp, udp } update @offenders4 { ip daddr . meta l4proto . th dport }
		meta l4proto { tcp, udp } update @offenders6 { ip6 daddr . meta l4proto . th dport }
	}
	chain leaving {
		type filter hook postrouting priority 300; policy accept;
		oifname != "${WIRE}" return
		${NEIGHBOURS}
		counter name left
	}
}
`
}

async function counters(there: readonly string[]): Promise<Record<string, number>> {
  const [program = '', ...args] = [...there, 'nft', '-j', 'list', 'counters']
  const { stdout } = await promisify(execFile)(program, args)
  const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] }
  return Object.fromEntries(
    nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets] as const] : [])),
  )
}

async function nft(there: readonly string[], rules: string): Promise<void> {
  await fed([...there, 'nft', '-f', '-'], rules)
}

async function ip(there: readonly string[], commands: readonly string[]): Promise<void> {
  for (const command of commands) {
    const [program = '', ...args] = [...there, 'ip', ...command.split(' ')]
    await promisify(execFile)(program, args)
  }
}

/** Runs a command with `input`. */
export async function fed([program = '', ...args]: readonly string[], input: string): Promise<string> {
  const done = promisify(execFile)(program, args)
  done.child.stdin?.on('error', () => {}).end(input)
  return (await done).stdout
}
