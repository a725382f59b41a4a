/** What tests of tunnels on a real machine stand on: a host with a wan, and a box beyond it with WireGuard of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeBoxFile } from '../../src/boxes/box-file.ts'
import { createWireguardKeys } from '../../src/boxes/wireguard-keys.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { HostTunnels } from '../../src/tunnel/host-tunnels.ts'
import { type TunnelSpec, tunnelSpec } from '../../src/tunnel/spec.ts'
import { SystemHost } from '../../src/tunnel/system-host.ts'
import { testBox } from '../../src/tunnel/test-spec.ts'

export const TARGET = '198.51.100.10'
export const HOST_WAN = '192.0.2.2'
const BOX_WAN = '192.0.2.11'
const hostKeys = createWireguardKeys()
const boxKeys = createWireguardKeys()

/** On port 80 it says from where the connection came and ends it; on port 81 it says so and goes on listening. */
const ECHO = `
  const { createServer } = require('node:net')
  createServer((s) => s.on('error', () => {}).resume().write(s.remoteAddress)).listen(81, '0.0.0.0')
  createServer((s) => s.on('error', () => {}).end(s.remoteAddress)).listen(80, '0.0.0.0', () => console.log('up'))
`

/** A process that holds namespaces until its input ends. */
class Holder implements AsyncDisposable {
  readonly #child: ChildProcess

  static async start(...unshare: readonly string[]): Promise<Holder> {
    const script = 'mount -t tmpfs none /run && mkdir /run/wireguard && echo up && read -r _'
    const child = spawn('unshare', [...unshare, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    const holder = new Holder(child)
    await once(child.stdout!, 'data')
    return holder
  }

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  get pid(): number {
    return this.#child.pid!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.stdin!.end()
    await exit
  }
}

/** The network namespace that this process is in becomes the host: refuses one that has other interfaces than lo. */
export class RealTunnelLab implements AsyncDisposable {
  readonly #things: AsyncDisposableStack
  /** With the box file of tor01. */
  readonly state: string
  /** What stands before commands of the host. */
  readonly prefix: readonly string[]
  readonly boxPrefix: readonly string[]
  readonly host: SystemHost
  readonly spec: TunnelSpec

  static async create(): Promise<RealTunnelLab> {
    assert.equal(process.getuid?.(), 0, 'This test must be run as root')
    assert.deepEqual(interfaces(), [], 'This test must be run in a network namespace of its own: unshare --net …')
    await using things = new AsyncDisposableStack()
    const state = await mkdtemp(join(tmpdir(), 'cbtor-tunnel-'))
    things.defer(async () => await rm(state, { recursive: true, force: true }))
    // Where WireGuard in user space has its sockets belongs to the mount namespace, which other tests share.
    const own = things.use(await Holder.start('--mount'))
    const box = things.use(await Holder.start('--mount', '--net'))
    await makeWan(box.pid)
    things.defer(async () => void (await sh('ip link del wan')))
    const lab = new RealTunnelLab(state, own.pid, box.pid, things.move())
    await lab.#startBox()
    return lab
  }

  private constructor(state: string, ownPid: number, boxPid: number, things: AsyncDisposableStack) {
    this.#things = things
    this.state = state
    this.prefix = ['nsenter', '--target', `${ownPid}`, '--mount', '--']
    this.boxPrefix = ['nsenter', '--target', `${boxPid}`, '--mount', '--net', '--']
    this.host = new SystemHost({ clock: systemClock, prefix: this.prefix })
    const box = testBox({ privateKey: hostKeys.privateKey, boxPublicKey: boxKeys.publicKey })
    writeBoxFile(state, box)
    this.spec = tunnelSpec(box)
  }

  /** A tunnel that has carried something. Disposing takes it down; the counters begin anew. */
  async upAndShaken(signal: AbortSignal): Promise<HostTunnels & AsyncDisposable> {
    const tunnels = new HostTunnels({ host: this.host, clock: systemClock, state: this.state })
    await tunnels.up(1, signal)
    await tunnels.reconnect(1, signal)
    await sh('nft reset counters >/dev/null')
    return Object.assign(tunnels, {
      [Symbol.asyncDispose]: async () => await tunnels.down(1, new AbortController().signal),
    })
  }

  async inBox(command: string, stdin = ''): Promise<string> {
    const [program = '', ...args] = [...this.boxPrefix, 'sh', '-c', `cat | { ${command}; }`]
    const run = promisify(execFile)(program, args, { timeout: 20_000 })
    run.child.stdin!.end(stdin)
    return (await run).stdout
  }

  /** The box has never heard of us, and then it has. */
  async forgetHost(): Promise<void> {
    await this.inBox(`wg set wg0 peer ${hostKeys.publicKey} remove`)
    await this.inBox('wg setconf wg0 /dev/stdin', boxConfig())
  }

  /** By force, whatever there is of the tunnel. */
  async wipe(): Promise<void> {
    const { interfaceName, table, identityRanges, lockTable } = this.spec
    await sh(`set +e; exec 2>/dev/null
      ip link del ${interfaceName}; ip rule del pref ${table}; ip route flush table ${table}
      for range in ${identityRanges.join(' ')}; do ip route del local $range table local; done
      nft delete table inet ${lockTable}; true`)
    await this.host.endWireguard(interfaceName)
  }

  /** Fails when something of the tests is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const left = await wireguardProcesses()
    for (const pid of left) process.kill(pid, 'SIGKILL')
    await this.#things[Symbol.asyncDispose]()
    assert.deepEqual(interfaces(), [])
    assert.deepEqual(left, [], 'wireguard-go was left')
  }

  async #startBox(): Promise<void> {
    this.#spawnInBox(['wireguard-go', '-f', 'wg0'])
    await until('the box has wg0', async () => (await this.inBox('wg show wg0').catch(() => '')) !== '')
    await this.inBox('wg setconf wg0 /dev/stdin', boxConfig())
    await this.inBox('ip addr add 10.201.1.1/24 dev wg0 && ip link set mtu 1420 up dev wg0')
    await once(this.#spawnInBox([process.execPath, '-e', ECHO]).stdout!, 'data')
  }

  #spawnInBox(command: readonly string[]): ChildProcess {
    const [program = '', ...args] = [...this.boxPrefix, ...command]
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#things.defer(async () => await end(child))
    return child
  }
}

/**
 * The way between the two, on which everything is counted that goes out and is not the tunnel: WireGuard's datagrams, and
 * the answer to the box's own when nobody listens any more. Without IPv6, whose solicitations would be counted.
 */
async function makeWan(boxPid: number): Promise<void> {
  await sh(`
    ip link set lo up
    ip link add wan type veth peer name wan netns ${boxPid}
    sysctl -qw net.ipv6.conf.wan.disable_ipv6=1
    ip addr add ${HOST_WAN}/24 dev wan; ip link set wan up
    sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.wan.rp_filter=1
    nsenter --target ${boxPid} --net sh -ec '
      ip link set lo up; ip addr add ${TARGET}/32 dev lo
      ip addr add ${BOX_WAN}/24 dev wan; ip link set wan up'
    ip route add default via ${BOX_WAN}
    nft 'table inet watch {
      counter tunnel { }
      counter leaked { }
      counter other { }
      chain wan {
        type filter hook postrouting priority 300; policy accept;
        oifname != "wan" accept
        ip saddr 10.201.0.0/16 counter name leaked accept
        ip daddr 10.201.0.0/16 counter name leaked accept
        udp sport 51821 counter name tunnel accept
        icmp code port-unreachable counter name tunnel accept
        counter name other
      }
    }'`)
}

/** What the server says, with the address `from` as ours. */
export async function ask(to: string, from: string | undefined): Promise<string> {
  const socket = connect({ host: to, port: 80, timeout: 5_000, ...(from !== undefined && { localAddress: from }) })
  socket.on('timeout', () => socket.destroy(new Error('no answer')))
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  return text
}

/** A connection that has carried something and stays open. */
export async function hold(to: string, from: string): Promise<Socket> {
  const socket = connect({ host: to, port: 81, localAddress: from })
  socket.on('error', () => {})
  await once(socket, 'data')
  return socket
}

export async function sendDatagrams(to: string, from: readonly string[]): Promise<void> {
  for (const address of from) {
    const socket = createSocket('udp4')
    socket.on('error', () => {})
    await new Promise<void>((resolve) => socket.bind(0, address, resolve))
    await new Promise((resolve) => socket.send('x', 53, to, resolve))
    socket.close()
  }
}

export async function onWan(): Promise<{ leaked: number; other: number }> {
  const { stdout } = await sh('nft -j list counters table inet watch')
  const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] }
  const packets = (name: string) => nftables.find(({ counter }) => counter?.name === name)!.counter!.packets
  return { leaked: packets('leaked'), other: packets('other') }
}

export async function sh(script: string): Promise<{ stdout: string }> {
  return await promisify(execFile)('sh', ['-ec', script], { timeout: 20_000 })
}

function boxConfig(): string {
  return `[Interface]\nPrivateKey = ${boxKeys.privateKey}\nListenPort = 51820\n[Peer]\nPublicKey = ${hostKeys.publicKey}
Endpoint = ${HOST_WAN}:51821\nAllowedIPs = 10.201.1.0/24\nPersistentKeepalive = 25\n`
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  while (!(await isSo())) {
    assert.ok(performance.now() < giveUpAt, `Waited in vain: ${what}`)
    await systemClock.sleep(20)
  }
}

/** The living `wireguard-go` processes of our namespace. */
export async function wireguardProcesses(): Promise<number[]> {
  const found: number[] = []
  const ours = await readlink('/proc/self/ns/net')
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [program = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
    if (!program.endsWith('wireguard-go')) continue
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) === ours) found.push(Number(pid))
  }
  return found
}

export async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

function interfaces(): readonly string[] {
  return Object.keys(networkInterfaces()).filter((name) => name !== 'lo')
}
