/**
 * Tunnels on a real machine: run as root in a network namespace of its own, which is "the host":
 * `unshare --net node --test test/openwrt/tunnel.test.ts`. The box is another namespace, with WireGuard of its own.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { handOver } from '../../src/tunnel/hand-over.ts'
import { isListening, TunnelHelperClient } from '../../src/tunnel/helper/client.ts'
import { TunnelServer } from '../../src/tunnel/helper/serve.ts'
import { SpawnedTunnels } from '../../src/tunnel/helper/spawn.ts'
import { HostTunnels } from '../../src/tunnel/host-tunnels.ts'
import { lookUp } from '../../src/tunnel/tunnel.ts'
import { tunnelSuite } from '../../src/tunnel/tunnel-suite.ts'
import {
  ask,
  end,
  HOST_WAN,
  hold,
  onWan,
  RealTunnelLab,
  sendDatagrams,
  sh,
  TARGET,
  until,
  wireguardProcesses,
} from './tunnel-lab.ts'

let lab: RealTunnelLab

before(async () => {
  lab = await RealTunnelLab.create()
})

after(async () => await lab[Symbol.asyncDispose]())

tunnelSuite('this machine', async () => ({
  host: lab.host,
  clock: systemClock,
  stride: 4,
  spec: lab.spec,
  [Symbol.asyncDispose]: async () => await lab.wipe(),
}))

describe('traffic through a tunnel', { timeout: 300_000 }, () => {
  const identities = ['10.201.1.2', '10.201.1.16', '10.201.1.101', '10.201.1.200', '10.201.1.254']

  it('goes with any address of the tunnel, to the far end and to the box', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    assert.ok(tunnels)
    for (const from of identities) {
      assert.equal(await ask(TARGET, from), from)
      assert.equal(await ask('10.201.1.1', from), from)
    }
    assert.deepEqual(await onWan(), { leaked: 0, other: 0 })
  })

  it('is refused at once, and nothing goes out by another way, whatever is broken', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    const { interfaceName: dev, table } = lab.spec
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

  it('of a connection that is open gets out by no other way either', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    assert.ok(tunnels)
    const socket = await hold(TARGET, '10.201.1.16')
    const { interfaceName, table, lockTable } = lab.spec
    await sh(`ip link set ${interfaceName} down; ip rule del pref ${table}`)
    socket.write('what is sent again and again until it arrives')
    await until('the lock has refused it', async () =>
      /saddr.* packets [1-9]/.test((await sh(`nft list chain inet ${lockTable} output`)).stdout),
    )
    socket.destroy()
    assert.deepEqual(await onWan(), { leaked: 0, other: 0 })
  })

  it('to the box itself is refused when the interface is gone, also without an address of the tunnel', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    assert.ok(tunnels)
    await sh(`ip link del ${lab.spec.interfaceName}`)
    await assert.rejects(ask('10.201.1.1', undefined), { code: 'EHOSTUNREACH' })
    await assert.rejects(ask(TARGET, '10.201.1.2'), { code: 'EADDRNOTAVAIL' })
    await assert.rejects(ask(TARGET, '10.201.1.16'), { code: 'EHOSTUNREACH' })
    assert.deepEqual(await onWan(), { leaked: 0, other: 0 })
  })

  it('would get out without rule and lock: the counters see it', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    await sh(`ip rule del pref ${lab.spec.table}; nft delete table inet ${lab.spec.lockTable}`)
    await sendDatagrams(TARGET, ['10.201.1.16'])
    // More than the one when a connection of a former test tries again, now that its address is back.
    assert.ok((await onWan()).leaked >= 1)
    await tunnels.up(1, t.signal)
  })

  it('of the box is let in as answers alone', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    assert.ok(tunnels)
    const script = (address: string) =>
      `exec timeout 1 ${process.execPath} -e "require('net').connect(7, '${address}').on('error', (e) => console.log(e.code))"`
    for (const address of ['10.201.1.2', '10.201.1.16', HOST_WAN]) {
      const { stdout } = await promisify(execFile)('sh', [
        '-c',
        `${lab.boxPrefix.join(' ')} sh -c '${script(address).replaceAll("'", `'"'"'`)}'; true`,
      ])
      // What comes by the tunnel is dropped without a word; by the wan, where we have nothing to say, it is refused.
      assert.equal(stdout.trim(), address === HOST_WAN ? 'ECONNREFUSED' : '', address)
    }
  })

  it('goes on after the box has lost us and was reconnected', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
    await lab.forgetHost()
    await tunnels.reconnect(1, t.signal)
    assert.equal(await ask(TARGET, '10.201.1.16'), '10.201.1.16')
  })
})

describe('the tunnel helper', { timeout: 300_000 }, () => {
  it('does what it is asked by its socket, mends what changes, and leaves nothing', async (t) => {
    const socketPath = join(lab.state, 'run', 'tunnel.sock')
    const options = {
      host: lab.host,
      prefix: lab.prefix,
      state: lab.state,
      socketPath,
      keep: false,
      clock: systemClock,
      logger: silentLogger,
    }
    const client = new TunnelHelperClient(options)
    {
      await using server = await TunnelServer.start(options, t.signal)
      assert.ok(server)
      assert.equal((await stat(socketPath)).mode & 0o777, 0o600)
      await client.up(1, t.signal)
      await client.reconnect(1, t.signal)
      assert.deepEqual((await client.status(1, t.signal)).problems, [])

      const { interfaceName: dev, table } = lab.spec
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
    }
    assert.equal(existsSync(socketPath), false)
    assert.deepEqual((await lookUp(lab.spec, { host: lab.host, clock: systemClock }, t.signal)).isUp, false)
    await assert.rejects(client.status(1, t.signal), /Start it as root with: cbtor tunnel serve/)
    assert.deepEqual(await wireguardProcesses(), [])
  })

  it('of a service is its child, is started again when it was killed, and takes over what is up', async (t) => {
    const options = {
      socketPath: join(lab.state, 'own.sock'),
      host: lab.host,
      prefix: lab.prefix,
      state: lab.state,
      clock: systemClock,
      logger: silentLogger,
    }
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
    assert.equal((await lookUp(lab.spec, { host: lab.host, clock: systemClock }, t.signal)).killSwitch, false)
  })

  it('of a service ends with it, and takes the tunnels down', async (t) => {
    const socketPath = join(lab.state, 'own.sock')
    const script = `
      const { SpawnedTunnels } = await import(${JSON.stringify(new URL('../../src/tunnel/helper/spawn.ts', import.meta.url))})
      const { systemClock } = await import(${JSON.stringify(new URL('../../src/lib/clock.ts', import.meta.url))})
      const options = ${JSON.stringify({ socketPath, state: lab.state, prefix: lab.prefix })}
      const { signal } = new AbortController()
      const tunnels = await SpawnedTunnels.start({ ...options, clock: systemClock }, signal)
      await tunnels.up(1, signal)
      console.log(tunnels.pid)`
    const service = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [pid] = await once(service.stdout, 'data')
    assert.ok((await lookUp(lab.spec, { host: lab.host, clock: systemClock }, t.signal)).isUp)
    await end(service)
    await until('the helper has ended', () => !existsSync(`/proc/${Number(pid)}/stat`))
    const status = await lookUp(lab.spec, { host: lab.host, clock: systemClock }, t.signal)
    assert.deepEqual(
      [status.killSwitch, status.rule, status.lock, existsSync(socketPath)],
      [false, false, false, false],
    )
    assert.deepEqual(await wireguardProcesses(), [])
  })

  it('does not begin without the right to change the network', async (t) => {
    const options = {
      socketPath: join(lab.state, 'own.sock'),
      state: lab.state,
      clock: systemClock,
      logger: silentLogger,
    }
    const without = { ...options, prefix: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'] }
    await assert.rejects(SpawnedTunnels.start(without, t.signal), { fault: 'not-permitted', message: /CAP_NET_ADMIN/ })
  })

  it('replaces a WireGuard that hangs', async (t) => {
    await using tunnels = await lab.upAndShaken(t.signal)
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

describe('a tunnel that is handed over', { timeout: 300_000 }, () => {
  it('to wg-quick is as ours', async (t) => {
    const file = join(lab.state, 'wg-tor01.conf')
    await writeFile(file, handOver(lab.spec, 'wg-quick', { withKeys: true }), { mode: 0o600 })
    const quick = async (verb: string) => await sh(`${lab.prefix.join(' ')} wg-quick ${verb} ${file}`)
    const tunnels = new HostTunnels({ host: lab.host, state: lab.state, clock: systemClock })
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
