/**
 * Tunnels on a real machine: run as root in a network namespace of its own, which is "the host":
 * `unshare --net node --test test/openwrt/tunnel.test.ts`. The box is another namespace, with WireGuard of its own.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { writeBoxFile } from '../../src/boxes/box-file.ts'
import { createWireguardKeys } from '../../src/boxes/wireguard-keys.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { handOver } from '../../src/tunnel/hand-over.ts'
import { isListening, TunnelHelperClient } from '../../src/tunnel/helper/client.ts'
import { TunnelServer } from '../../src/tunnel/helper/serve.ts'
import { SpawnedTunnels } from '../../src/tunnel/helper/spawn.ts'
import { HostTunnels } from '../../src/tunnel/host-tunnels.ts'
import { type TunnelSpec, tunnelSpec } from '../../src/tunnel/spec.ts'
import { SystemHost } from '../../src/tunnel/system-host.ts'
import { testBox } from '../../src/tunnel/test-spec.ts'
import { lookUp } from '../../src/tunnel/tunnel.ts'
import { tunnelSuite } from '../../src/tunnel/tunnel-suite.ts'

const TARGET = '198.51.100.10'
const HOST_WAN = '192.0.2.2'
const BOX_WAN = '192.0.2.11'
const hostKeys = createWireguardKeys()
const boxKeys = createWireguardKeys()

/** Says to everybody who connects from where that came. */
const ECHO = `
  require('node:net').createServer((s) => s.on('error', () => {}).end(s.remoteAddress)).listen(80, '0.0.0.0', () => console.log('up'))
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

let things: AsyncDisposableStack
let state: string
let prefix: readonly string[]
let host: SystemHost
let spec: TunnelSpec
let boxPrefix: readonly string[]

before(async () => {
  assert.equal(process.getuid?.(), 0, 'This test must be run as root')
  const others = Object.keys(networkInterfaces()).filter((name) => name !== 'lo')
  assert.deepEqual(others, [], 'This test must be run in a network namespace of its own: unshare --net …')
  things = new AsyncDisposableStack()
  state = await mkdtemp(join(tmpdir(), 'cbtor-tunnel-'))
  things.defer(async () => await rm(state, { recursive: true, force: true }))
  // Where WireGuard in user space has its sockets belongs to the mount namespace, which other tests share.
  prefix = ['nsenter', '--target', `${things.use(await Holder.start('--mount')).pid}`, '--mount', '--']
  const box = things.use(await Holder.start('--mount', '--net'))
  boxPrefix = ['nsenter', '--target', `${box.pid}`, '--mount', '--net', '--']
  host = new SystemHost({ clock: systemClock, prefix })
  const tunnel = { privateKey: hostKeys.privateKey, boxPublicKey: boxKeys.publicKey }
  writeBoxFile(state, testBox(tunnel))
  spec = tunnelSpec(testBox(tunnel))

  await sh(`
    ip link set lo up
    ip link add wan type veth peer name wan netns ${box.pid}
    ip addr add ${HOST_WAN}/24 dev wan; ip link set wan up
    sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.wan.rp_filter=1
    nsenter --target ${box.pid} --net sh -ec '
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
        counter name other
      }
    }'`)
  const go = spawn(boxPrefix[0]!, [...boxPrefix.slice(1), 'wireguard-go', '-f', 'wg0'], { stdio: 'ignore' })
  things.defer(async () => await end(go))
  await until('the box has wg0', async () => (await inBox('wg show wg0').catch(() => '')) !== '')
  await inBox('wg setconf wg0 /dev/stdin', boxConfig())
  await inBox('ip addr add 10.201.1.1/24 dev wg0 && ip link set mtu 1420 up dev wg0')
  const echo = spawn(boxPrefix[0]!, [...boxPrefix.slice(1), process.execPath, '-e', ECHO], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  things.defer(async () => await end(echo))
  await once(echo.stdout, 'data')
})

after(async () => {
  const left = await wireguardProcesses()
  for (const pid of left) process.kill(pid, 'SIGKILL')
  await sh('ip link del wan')
  await things[Symbol.asyncDispose]()
  assert.deepEqual(
    Object.keys(networkInterfaces()).filter((name) => name !== 'lo'),
    [],
  )
  assert.deepEqual(left, [], 'wireguard-go was left')
})

tunnelSuite('this machine', async () => ({
  host,
  clock: systemClock,
  stride: 4,
  get spec() {
    return spec
  },
  async [Symbol.asyncDispose]() {
    await sh(`set +e; exec 2>/dev/null
      ip link del ${spec.interfaceName}; ip rule del pref ${spec.table}; ip route flush table ${spec.table}
      for range in ${spec.identityRanges.join(' ')}; do ip route del local $range table local; done
      nft delete table inet ${spec.lockTable}; true`)
    await host.endWireguard(spec.interfaceName)
  },
}))

describe('traffic through a tunnel', { timeout: 60_000 }, () => {
  const identities = ['10.201.1.2', '10.201.1.16', '10.201.1.101', '10.201.1.200', '10.201.1.254']

  it('goes with any address of the tunnel, to the far end and to the box', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    assert.ok(tunnels)
    for (const from of identities) {
      assert.equal(await ask(TARGET, from), from)
      assert.equal(await ask('10.201.1.1', from), from)
    }
    assert.deepEqual(await onWan(), { leaked: 0, other: 0 })
  })

  it('is refused at once, and nothing goes out by another way, whatever is broken', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    const { interfaceName: dev, table } = spec
    const broken = [
      `ip link set ${dev} down`,
      `ip route del default dev ${dev} table ${table}`,
      `ip link set ${dev} down && ip link set ${dev} up`,
      `ip rule del pref ${table}`,
      `ip route flush table ${table}`,
      `ip rule add pref 99 from all lookup main`,
    ]
    for (const harm of broken) {
      await sh(harm)
      for (const from of identities) {
        const startedAt = performance.now()
        await assert.rejects(ask(TARGET, from), { code: 'EHOSTUNREACH' }, `${harm}: ${from}`)
        assert.ok(performance.now() - startedAt < 500, harm)
      }
      await sendDatagrams(TARGET, identities)
      assert.deepEqual(await onWan(), { leaked: 0, other: 0 }, harm)
      if (harm.includes('pref 99')) {
        assert.match(
          (await tunnels.status(1, t.signal)).problems.join(),
          /A rule of another program comes before ours.*by wan/,
        )
        await sh('ip rule del pref 99')
      }
      await tunnels.up(1, t.signal)
      assert.equal(await ask(TARGET, identities[1]!), identities[1])
    }
  })

  it('to the box itself is refused when the interface is gone, also without an address of the tunnel', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    assert.ok(tunnels)
    await sh(`ip link del ${spec.interfaceName}`)
    await assert.rejects(ask('10.201.1.1', undefined), { code: 'EHOSTUNREACH' })
    await assert.rejects(ask(TARGET, '10.201.1.2'), { code: 'EADDRNOTAVAIL' })
    await assert.rejects(ask(TARGET, '10.201.1.16'), { code: 'EHOSTUNREACH' })
    assert.deepEqual(await onWan(), { leaked: 0, other: 0 })
  })

  it('would get out without rule and lock: the counters see it', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    await sh(`ip rule del pref ${spec.table}; nft delete table inet ${spec.lockTable}`)
    await sendDatagrams(TARGET, ['10.201.1.16'])
    assert.deepEqual(await onWan(), { leaked: 1, other: 0 })
    await tunnels.up(1, t.signal)
  })

  it('of the box is let in as answers alone', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    assert.ok(tunnels)
    const script = (address: string) =>
      `exec timeout 1 ${process.execPath} -e "require('net').connect(7, '${address}').on('error', (e) => console.log(e.code))"`
    for (const address of ['10.201.1.2', '10.201.1.16', HOST_WAN]) {
      const { stdout } = await promisify(execFile)('sh', [
        '-c',
        `${boxPrefix.join(' ')} sh -c '${script(address).replaceAll("'", `'"'"'`)}'; true`,
      ])
      // What comes by the tunnel is dropped without a word; by the wan, where we have nothing to say, it is refused.
      assert.equal(stdout.trim(), address === HOST_WAN ? 'ECONNREFUSED' : '', address)
    }
  })

  it('goes on after the box has lost us and was reconnected', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    await inBox(`wg set wg0 peer ${hostKeys.publicKey} remove`)
    await inBox('wg setconf wg0 /dev/stdin', boxConfig())
    await tunnels.reconnect(1, t.signal)
    assert.equal(await ask(TARGET, '10.201.1.16'), '10.201.1.16')
  })
})

describe('the tunnel helper', { timeout: 60_000 }, () => {
  it('does what it is asked by its socket, mends what changes, and leaves nothing', async (t) => {
    const socketPath = join(state, 'run', 'tunnel.sock')
    const options = { socketPath, state, keep: false, host, clock: systemClock, logger: silentLogger }
    const client = new TunnelHelperClient(options)
    {
      await using server = await TunnelServer.start(options, t.signal)
      assert.ok(server)
      assert.equal((await stat(socketPath)).mode & 0o777, 0o600)
      await client.up(1, t.signal)
      await client.reconnect(1, t.signal)
      assert.deepEqual((await client.status(1, t.signal)).problems, [])

      const { interfaceName: dev, table, lockTable } = spec
      const changes = [
        `ip link set ${dev} down && ip link set ${dev} up`,
        `ip route del unreachable default metric 4278198272 table ${table}`,
        `ip rule del pref ${table}`,
        'nft flush ruleset',
        `ip link del ${dev}`,
      ]
      const ruleset = (await sh('nft list table inet watch')).stdout
      for (const change of changes) {
        await sh(change)
        if (change === 'nft flush ruleset') await sh(`nft '${ruleset}'`)
        await until(`mended after: ${change}`, async () => {
          const { problems } = await client.status(1, t.signal)
          return problems.every((problem) => problem.includes('has not answered yet'))
        })
      }
      assert.ok(lockTable)
    }
    assert.equal(existsSync(socketPath), false)
    assert.deepEqual((await lookUp(spec, { host, clock: systemClock }, t.signal)).isUp, false)
    await assert.rejects(client.status(1, t.signal), /Start it as root with: cbtor tunnel serve/)
    assert.deepEqual(await wireguardProcesses(), [])
  })

  it('of a service is its child, is started again when it was killed, and takes over what is up', async (t) => {
    const options = { socketPath: join(state, 'own.sock'), state, prefix, clock: systemClock, logger: silentLogger }
    {
      await using tunnels = await SpawnedTunnels.start(options, t.signal)
      await tunnels.up(1, t.signal)
      await tunnels.reconnect(1, t.signal)
      const { pid } = tunnels
      process.kill(pid!, 'SIGKILL')
      await until('it is known to be gone', () => tunnels.pid === undefined)
      assert.equal(await ask(TARGET, '10.201.1.16'), '10.201.1.16')
      const { problems } = await tunnels.status(1, t.signal)
      assert.deepEqual(problems, [])
      await assert.rejects(tunnels.up(2, t.signal), { fault: 'invalid', message: /^There is no tunnel 2: no box in/ })
    }
    assert.equal(await isListening(options.socketPath, systemClock, t.signal), false)
    assert.deepEqual(await wireguardProcesses(), [])
    assert.equal((await lookUp(spec, { host, clock: systemClock }, t.signal)).killSwitch, false)
  })

  it('of a service ends with it, and takes the tunnels down', async (t) => {
    const socketPath = join(state, 'own.sock')
    const script = `
      const { SpawnedTunnels } = await import(${JSON.stringify(new URL('../../src/tunnel/helper/spawn.ts', import.meta.url))})
      const { systemClock } = await import(${JSON.stringify(new URL('../../src/lib/clock.ts', import.meta.url))})
      const options = ${JSON.stringify({ socketPath, state, prefix })}
      const { signal } = new AbortController()
      const tunnels = await SpawnedTunnels.start({ ...options, clock: systemClock }, signal)
      await tunnels.up(1, signal)
      console.log(tunnels.pid)`
    const service = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [pid] = await once(service.stdout, 'data')
    assert.ok((await lookUp(spec, { host, clock: systemClock }, t.signal)).isUp)
    await end(service)
    await until('the helper has ended', () => !existsSync(`/proc/${Number(pid)}/stat`))
    const status = await lookUp(spec, { host, clock: systemClock }, t.signal)
    assert.deepEqual(
      [status.killSwitch, status.rule, status.lock, existsSync(socketPath)],
      [false, false, false, false],
    )
    assert.deepEqual(await wireguardProcesses(), [])
  })

  it('does not begin without the right to change the network', async (t) => {
    const options = { socketPath: join(state, 'own.sock'), state, clock: systemClock, logger: silentLogger }
    const without = { ...options, prefix: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'] }
    await assert.rejects(SpawnedTunnels.start(without, t.signal), { fault: 'not-permitted', message: /CAP_NET_ADMIN/ })
  })

  it('replaces a WireGuard that hangs', async (t) => {
    await using tunnels = await upAndShaken(t.signal)
    const [pid] = await wireguardProcesses()
    process.kill(pid!, 'SIGSTOP')
    assert.match(
      (await tunnels.status(1, t.signal)).problems[0] ?? '',
      /WireGuard does not answer on wg-tor01; mend it with/,
    )
    await tunnels.reconnect(1, t.signal)
    assert.deepEqual((await tunnels.status(1, t.signal)).problems, [])
    assert.notDeepEqual(await wireguardProcesses(), [pid])
  })
})

describe('a tunnel that is handed over', { timeout: 60_000 }, () => {
  it('to wg-quick is as ours', async (t) => {
    const file = join(state, 'wg-tor01.conf')
    await writeFile(file, handOver(spec, 'wg-quick', { withKeys: true }), { mode: 0o600 })
    const quick = async (verb: string) => await sh(`${prefix.join(' ')} wg-quick ${verb} ${file}`)
    const tunnels = new HostTunnels({ host, clock: systemClock, state })
    await quick('up')
    try {
      await tunnels.up(1, t.signal)
      await tunnels.reconnect(1, t.signal)
      const { handshakeAgeMs, rxBytes, txBytes, ...status } = await tunnels.status(1, t.signal)
      assert.deepEqual(status, {
        isUp: true,
        killSwitch: true,
        defaultRoute: true,
        rule: true,
        lock: true,
        problems: [],
      })
      assert.equal(await ask(TARGET, '10.201.1.16'), '10.201.1.16')
      await assert.rejects(tunnels.down(1, t.signal), { fault: 'foreign' })
    } finally {
      await quick('down')
    }
    const observed = (await sh(`ip rule; ip route show table all; nft list tables`)).stdout
    assert.doesNotMatch(observed, /10\.201\.|20101|cbtor/)
  })
})

/** A tunnel that has carried something. Disposing takes it down; the counters begin anew. */
async function upAndShaken(signal: AbortSignal): Promise<HostTunnels & AsyncDisposable> {
  const tunnels = new HostTunnels({ host, clock: systemClock, state })
  await tunnels.up(1, signal)
  await tunnels.reconnect(1, signal)
  await sh('nft reset counters >/dev/null')
  return Object.assign(tunnels, {
    [Symbol.asyncDispose]: async () => await tunnels.down(1, new AbortController().signal),
  })
}

/** What the server says, with the address `from` as ours. */
async function ask(to: string, from: string | undefined): Promise<string> {
  const socket = connect({ host: to, port: 80, timeout: 5_000, ...(from !== undefined && { localAddress: from }) })
  socket.on('timeout', () => socket.destroy(new Error('no answer')))
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  return text
}

async function sendDatagrams(to: string, from: readonly string[]): Promise<void> {
  for (const address of from) {
    const socket = createSocket('udp4')
    socket.on('error', () => {})
    await new Promise<void>((resolve) => socket.bind(0, address, resolve))
    await new Promise((resolve) => socket.send('x', 53, to, resolve))
    socket.close()
  }
}

async function onWan(): Promise<{ leaked: number; other: number }> {
  const { stdout } = await sh('nft -j list counters table inet watch')
  const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] }
  const packets = (name: string) => nftables.find(({ counter }) => counter?.name === name)!.counter!.packets
  assert.ok(packets('tunnel') >= 0)
  return { leaked: packets('leaked'), other: packets('other') }
}

async function sh(script: string): Promise<{ stdout: string }> {
  return await promisify(execFile)('sh', ['-ec', script], { timeout: 20_000 })
}

async function inBox(command: string, stdin = ''): Promise<string> {
  const [program = '', ...args] = [...boxPrefix, 'sh', '-c', `cat | { ${command}; }`]
  const run = promisify(execFile)(program, args, { timeout: 20_000 })
  run.child.stdin!.end(stdin)
  return (await run).stdout
}

function boxConfig(): string {
  return `[Interface]\nPrivateKey = ${boxKeys.privateKey}\nListenPort = 51820\n[Peer]\nPublicKey = ${hostKeys.publicKey}
Endpoint = ${HOST_WAN}:51821\nAllowedIPs = 10.201.1.0/24\nPersistentKeepalive = 25\n`
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  while (!(await isSo())) {
    assert.ok(performance.now() < giveUpAt, `Waited in vain: ${what}`)
    await systemClock.sleep(20)
  }
}

/** The living `wireguard-go` processes of our namespace. */
async function wireguardProcesses(): Promise<number[]> {
  const found: number[] = []
  const ours = await readlink('/proc/self/ns/net')
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [program = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
    if (!program.endsWith('wireguard-go')) continue
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) === ours) found.push(Number(pid))
  }
  return found
}

async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
