/** What leaves the host by its one wire, counted by nft and captured by tcpdump: with all traffic in tunnels, nothing else may. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const TABLE = 'inet cbtor_leaks'
/** Of a box's end of the tunnel. */
const BOX_PORT = 51820
/** Of the host's ends: tunnel N listens on 51820 + N. */
const HOST_PORTS = '51821-52074'
const TCPDUMP_WITHIN_MS = 10_000

export interface LeakCounts {
  /** Packets of WireGuard and SSH to the boxes, and ICMP that goes with them. */
  readonly allowed: number
  /** Packets that ask for names outside a tunnel. */
  readonly dns: number
  /** Every other packet. */
  readonly leaks: number
}

export interface LeakWatchOptions {
  /** Addresses to which WireGuard and SSH may go. */
  readonly boxes: readonly string[]
  /** For the capture. */
  readonly directory: string
  readonly interface?: string
}

/** Watches our own network namespace from the moment it is started. Its end takes the nft table and tcpdump with it. */
export class LeakWatch implements AsyncDisposable {
  readonly captureFile: string
  readonly #boxes: readonly string[]
  readonly #tcpdump: ChildProcess

  private constructor(options: LeakWatchOptions, captureFile: string, tcpdump: ChildProcess) {
    this.captureFile = captureFile
    this.#boxes = options.boxes
    this.#tcpdump = tcpdump
  }

  static async start(options: LeakWatchOptions): Promise<LeakWatch> {
    const { boxes, directory, interface: wan = 'wan' } = options
    await mkdir(directory, { recursive: true })
    const captureFile = join(directory, `leaks-${process.pid}-${process.hrtime.bigint()}.pcap`)
    const capture = ['tcpdump', '-i', wan, '-n', '-Q', 'out', '-U', '--immediate-mode', '-Z', 'root', '-w', captureFile]
    const tcpdump = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...capture], { stdio: ['ignore', 'ignore', 'pipe'] })
    const watch = new LeakWatch(options, captureFile, tcpdump)
    try {
      await listening(tcpdump)
      await nft(countingRules(wan, boxes))
      return watch
    } catch (error) {
      await watch[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Since the start, in packets. */
  async counts(): Promise<LeakCounts> {
    const { stdout } = await promisify(execFile)('nft', ['-j', 'list', 'counters', 'table', ...TABLE.split(' ')])
    const counters = (JSON.parse(stdout).nftables as { counter?: { name: string; packets: number } }[]).flatMap(
      ({ counter }) => (counter ? [[counter.name, counter.packets] as const] : []),
    )
    const { allowed = 0, dns = 0, leaks = 0 } = Object.fromEntries(counters)
    return { allowed, dns, leaks }
  }

  /** Every captured packet that should not have left, one line each, as tcpdump tells it; names are among them. */
  async offenders(): Promise<string[]> {
    return await readCapture(this.captureFile, `not (${allowedFilter(this.#boxes)})`)
  }

  /** How many packets were captured. */
  async captured(): Promise<number> {
    return (await readCapture(this.captureFile, '')).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#tcpdump.exitCode === null && this.#tcpdump.signalCode === null) {
      const closed = once(this.#tcpdump, 'close')
      this.#tcpdump.kill('SIGTERM')
      await closed
    }
    await nft(`table ${TABLE} { }\ndelete table ${TABLE}`)
  }
}

/** Counts what is about to be sent, after every other chain has let it pass. */
function countingRules(wan: string, boxes: readonly string[]): string {
  const icmp = 'destination-unreachable, time-exceeded, parameter-problem'
  const icmpv6 = 'destination-unreachable, packet-too-big, time-exceeded, parameter-problem'
  const neighbours =
    'nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report'
  return `
table ${TABLE} { }
delete table ${TABLE}
table ${TABLE} {
	set boxes { type ipv4_addr; elements = { ${boxes.join(', ')} }; }
	counter allowed { }
	counter dns { }
	counter leaks { }
	chain leaving {
		type filter hook postrouting priority 300; policy accept;
		oifname != "${wan}" return
		meta l4proto { tcp, udp } th dport { 53, 853, 5353 } counter name dns return
		ip daddr @boxes udp dport ${BOX_PORT} counter name allowed return
		ip daddr @boxes udp sport ${HOST_PORTS} counter name allowed return
		ip daddr @boxes tcp dport 22 counter name allowed return
		icmp type { ${icmp} } counter name allowed return
		icmpv6 type { ${icmpv6}, ${neighbours} } counter name allowed return
		counter name leaks
	}
}
`
}

/** The same in tcpdump's words. Names are looked for first, wherever they go to. */
function allowedFilter(boxes: readonly string[]): string {
  const toBox = `(${boxes.map((address) => `dst host ${address}`).join(' or ')})`
  const ours = [
    `${toBox} and udp and (dst port ${BOX_PORT} or src portrange ${HOST_PORTS})`,
    `${toBox} and tcp and dst port 22`,
    'icmp[icmptype] = icmp-unreach or icmp[icmptype] = icmp-timxceed or icmp[icmptype] = icmp-paramprob',
    // Behind the IPv6 header lies the type; reports of multicast listeners have a hop-by-hop header (0) in between.
    'icmp6 and (ip6[40] <= 4 or (ip6[40] >= 131 and ip6[40] <= 136))',
    'ip6[6] = 0 and ip6[40] = 58 and ip6[48] = 143',
  ]
  return `arp or (not dst port 53 and not dst port 853 and (${ours.map((filter) => `(${filter})`).join(' or ')}))`
}

/** Of a file that tcpdump may be writing still: what is in it by now. */
async function readCapture(file: string, filter: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('tcpdump', ['-n', '-r', file, ...(filter === '' ? [] : [filter])], {
    maxBuffer: 1 << 28,
  })
  return stdout.split('\n').filter((line) => line !== '')
}

async function listening(tcpdump: ChildProcess): Promise<void> {
  const said: string[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (why: string) => reject(new Error(`Cannot capture: ${why}. ${said.join('\n')}`))
  if (tcpdump.stderr) {
    createInterface(tcpdump.stderr).on('line', (line) => {
      said.push(line)
      if (/listening on/.test(line)) resolve()
    })
  }
  tcpdump.on('error', (error) => fail(error.message))
  tcpdump.on('close', (code, signal) => fail(`tcpdump ended (${signal ?? `exit code ${code}`})`))
  const late = setTimeout(() => fail(`tcpdump did not start within ${TCPDUMP_WITHIN_MS} ms`), TCPDUMP_WITHIN_MS)
  await promise.finally(() => clearTimeout(late))
}

async function nft(rules: string): Promise<void> {
  const done = promisify(execFile)('nft', ['-f', '-'])
  done.child.stdin?.on('error', () => {}).end(rules)
  await done
}
