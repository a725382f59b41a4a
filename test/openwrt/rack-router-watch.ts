/** What arrives at the router from the host and the boxes in clear: watched where no fault of a host or box reaches. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const TABLE = 'cbtor_router'
/** Of the packets that are counted as leaks of boxes, and of those of the host to the same places. */
const SEEN = 'net 10.0.0.0/8 or (src net 192.0.2.0/24 and (dst net 198.51.100.0/24 or dst port 53))'

/** Watches the other ends of all wires. Its end takes the capture with it, and the counters go with the router. */
export class RouterWatch implements AsyncDisposable {
  /** The packets that should not be there, as tcpdump tells them. */
  readonly offenders: string[] = []
  readonly #onRouter: readonly string[]
  readonly #tcpdump: ChildProcess

  /** `onRouter`: what stands before a command that is to be run there. */
  static async start(onRouter: readonly string[], boxes: readonly string[]): Promise<RouterWatch> {
    await feed([...onRouter, 'nft', '-f', '-'], countingRules(boxes))
    const watch = new RouterWatch(onRouter)
    const { stderr } = watch.#tcpdump
    // It says that it listens.
    if (stderr) await once(stderr, 'data')
    return watch
  }

  private constructor(onRouter: readonly string[]) {
    const capture = ['tcpdump', '-i', 'any', '-Q', 'in', '-n', '-l', '--immediate-mode', SEEN]
    const command = ['--pdeathsig', 'KILL', '--', ...onRouter, ...capture]
    this.#onRouter = onRouter
    this.#tcpdump = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'pipe'] })
    if (this.#tcpdump.stdout) createInterface(this.#tcpdump.stdout).on('line', (line) => this.offenders.push(line))
    this.#tcpdump.stderr?.resume()
  }

  /** In packets. */
  async counts(): Promise<Record<string, number>> {
    const [program = '', ...args] = [...this.#onRouter, 'nft', '-j', 'list', 'counters', 'table', 'inet', TABLE]
    const { stdout } = await promisify(execFile)(program, args)
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] }
    return Object.fromEntries(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#tcpdump, 'close')
    this.#tcpdump.kill('SIGTERM')
    await closed
  }
}

/** Of a box, whatever goes to where the sites are, or has to do with addresses that are inside of tunnels only. */
function countingRules(boxes: readonly string[]): string {
  return `
table inet ${TABLE} {
	set boxes { type ipv4_addr; elements = { ${boxes.join(', ')} }; }
	counter host_dns { }
	counter host_leaks { }
	counter box_dns { }
	counter box_leaks { }
	chain arriving {
		type filter hook prerouting priority raw; policy accept;
		iifname "host" goto from_host
		iifname "box*" goto from_box
	}
	chain from_host {
		meta l4proto { tcp, udp } th dport { 53, 853, 5353 } counter name host_dns return
		ip daddr @boxes udp dport 51820 return
		ip daddr @boxes udp sport 51821-52074 return
		ip daddr @boxes tcp dport 22 return
		icmp type { destination-unreachable, time-exceeded, parameter-problem } return
		meta l4proto icmpv6 return
		counter name host_leaks
	}
	chain from_box {
		meta l4proto { tcp, udp } th dport { 53, 853, 5353 } counter name box_dns return
		ip daddr { 10.0.0.0/8, 198.51.100.0/24 } counter name box_leaks return
		ip saddr 10.0.0.0/8 counter name box_leaks
	}
}
`
}

/** Runs a command with this as its input. */
export async function feed([program = '', ...args]: readonly string[], stdin: string): Promise<void> {
  const done = promisify(execFile)(program, args)
  done.child.stdin?.on('error', () => {}).end(stdin)
  await done
}
