/**
 * The rack of test boxes does what it says, with real boxes on a real private Tor network. Run it as real root in an empty network
 * namespace: `unshare --net node --test test/openwrt/rack.test.ts`. About a minute; needs no internet.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/lib/clock.ts'
import { command } from '../../src/ssh/command.ts'
import { readHostKey } from '../../src/ssh/read-host-key.ts'
import { SshSession } from '../../src/ssh/session.ts'
import type { TestBox } from '../../src/testnet/boxes/box.ts'
import { BoxRack } from '../../src/testnet/boxes/rack.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { eventually } from '../asking.ts'
import { knock, removeHostPeers } from './rack-host.ts'
import { LeakWatch } from './rack-leaks.ts'

const RACK_MODULE = fileURLToPath(new URL('../../src/testnet/boxes/rack.ts', import.meta.url))
const never = new AbortController().signal

describe('BoxRack', { timeout: 600_000 }, () => {
  let directory: string
  let network: TorNetwork
  let rack: BoxRack

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cbtor-rack-test-'))
    network = await TorNetwork.create()
    rack = await BoxRack.create(network, { directory, bootDelayMs: 500 })
  })
  after(async () => {
    try {
      await rack?.[Symbol.asyncDispose]()
      assert.deepEqual([interfaces(), readdirSync(directory)], [['lo'], []])
    } finally {
      await network?.[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    }
  })

  it('brings up four boxes that let us in by SSH and show the keys that they were given', async () => {
    assert.deepEqual(
      rack.boxes.map(({ name, address }) => `${name} ${address}`),
      ['box1 192.0.2.11', 'box2 192.0.2.12', 'box3 192.0.2.13', 'box4 192.0.2.14'],
    )
    const privateKey = readFileSync(rack.clientKeyFile, 'utf8')
    for (const { name, address: host, hostKey } of rack.boxes) {
      const shown = await readHostKey(host, 22, { clock: systemClock }, never)
      assert.equal(shown.fingerprint, hostKey)
      const target = { user: 'root', host, port: 22, hostKey, privateKey }
      await using session = new SshSession({ target, clock: systemClock })
      const { stdout } = await session.run(command`cat /proc/sys/kernel/hostname`, { limitMs: 5_000 }, never)
      assert.equal(stdout.trim(), name)
    }
  })

  it('takes no second rack into one namespace', async () => {
    await assert.rejects(BoxRack.create(network, { directory }), /this network namespace has wan/)
  })

  it('counts and captures what leaves the host outside tunnels', async () => {
    await using watch = await LeakWatch.start({ boxes: rack.boxes.map(({ address }) => address), directory })
    assert.match(await knock(rack.box(1).address, 22, 5_000), /^SSH-/)
    await eventually(async () => (await watch.counts()).allowed > 0)
    assert.deepEqual({ ...(await watch.counts()), allowed: 0 }, { allowed: 0, dns: 0, leaks: 0 })
    assert.deepEqual(await watch.offenders(), [])
    await knock('198.51.100.120', 80, 1_000)
    await knock('198.51.100.53', 53, 1_000)
    const { dns, leaks } = await watch.counts()
    assert.ok(dns > 0 && leaks > 0, `${dns} questions and ${leaks} leaks counted`)
    const offenders = await eventually(async () => {
      const lines = await watch.offenders()
      return lines.length >= dns + leaks && lines
    })
    assert.ok(offenders.some((line) => line.includes('> 198.51.100.120.80: ')))
    assert.ok(offenders.some((line) => line.includes('> 198.51.100.53.53: ')))
    rmSync(watch.captureFile)
  })

  // Each box suffers for itself, all at the same time.
  describe('its boxes', { concurrency: true }, () => {
    it('box 1: has a tor that bootstraps and fetches, and whose faults act and are undone', async () => {
      const box = rack.box(1)
      await bootstrapped(box)
      assert.match(await fetchInside(box, new URL(network.urls.www).hostname), /private Tor network/)
      assert.match(await fetchInside(box, new URL(network.urls.onion).hostname), /private Tor network/)

      await box.freezeTor()
      assert.equal((await box.read('sed -n "s/^State:.//p" /proc/$(pidof tor)/status')).slice(0, 1), 'T')
      await box.thawTor()
      await box.stopTor()
      assert.equal(await box.torPid(), undefined)
      await box.startTor()
      const before = await box.torPid()
      await box.killTor()
      const respawned = await eventually(() => box.torPid())
      assert.notEqual(respawned, before)

      await bootstrapped(box)
      // An authority serves HTTP, and nothing that the box's own tor keeps a connection for.
      const authority = network.processes().find(({ role }) => role === 'authority')?.address ?? ''
      const ask = `(printf 'GET /tor/status-vote/current/consensus HTTP/1.0\\r\\n\\r\\n'; sleep 1) | nc ${authority} 7000`
      const asked = async () => {
        const { stdout, stderr } = await box.exec(ask, '', 3_000)
        return `${stdout}${stderr}`
      }
      assert.match(await asked(), /^HTTP\/1.0 200 OK/)
      await box.blockRelays('drop')
      await assert.rejects(asked(), /it took longer than 3000 ms/)
      await box.blockRelays('reset')
      assert.match(await asked(), /refused/)
      await box.unblockRelays()
      assert.match(await asked(), /^HTTP\/1.0 200 OK/)
      assert.match(await fetchInside(box, new URL(network.urls.www).hostname), /private Tor network/)
    })

    it('box 2: loses SSH, its cable and the way to it, and gets them back', async () => {
      const { address } = rack.box(2)
      const box = rack.box(2)
      const seen = () => knock(address, 22, 1_000)
      await box.stopDropbear()
      assert.equal(await eventually(async () => (await seen()) === 'ECONNREFUSED'), true)
      await box.startDropbear()
      await eventually(async () => (await seen()).startsWith('SSH-'))
      await box.freezeDropbear()
      assert.equal(await seen(), 'silent')
      await box.thawDropbear()
      assert.match(await seen(), /^SSH-/)
      await box.linkDown()
      assert.match(await seen(), /unanswered|EHOSTUNREACH|ENETUNREACH/)
      assert.equal((await box.read('cat /sys/class/net/wan/carrier')).trim(), '0')
      await box.linkUp()
      assert.match(await seen(), /^SSH-/)
      await box.blackhole(true)
      assert.equal(await seen(), 'unanswered')
      await box.blackhole(false)
      assert.match(await seen(), /^SSH-/)

      await box.dropFirewall()
      assert.notEqual((await box.exec('nft list table inet fw4')).code, 0)
      await box.restoreFirewall()
      await box.read('nft list table inet fw4')
      await box.fillTmp()
      assert.notEqual((await box.exec('echo more >/tmp/more')).code, 0)
      await box.freeTmp()
      await box.read('echo more >/tmp/more')
    })

    it('box 3: reboots with a new boot id, keeps its flash and nothing else', async () => {
      const box = rack.box(3)
      const before = await box.snapshot()
      await box.read('echo kept >/etc/kept; chmod 640 /etc/kept; echo lost >/tmp/lost')
      const bootId = await box.bootId()
      const next = await box.reboot()
      assert.notEqual(next, bootId)
      assert.equal(await box.bootId(), next)
      assert.equal(box.boots, 2)
      assert.equal(await box.read('cat /etc/kept'), 'kept\n')
      assert.notEqual((await box.exec('cat /tmp/lost')).code, 0)
      await box.waitSsh()

      const changed = await box.snapshot()
      assert.deepEqual(
        [...changed.keys()].filter((path) => !before.has(path)),
        ['/etc/kept'],
      )
      assert.match(changed.get('/etc/kept') ?? '', /^0640 0:0 sha256:/)
      await box.read('rm /etc/kept')
      assert.deepEqual(await box.snapshot(), before)

      await box.powerOff()
      assert.equal(box.isOn, false)
      await assert.rejects(box.exec('true'), /box3 is off/)
      assert.match(await knock(box.address, 22, 1_000), /unanswered|EHOSTUNREACH/)
      await box.powerOn()
      await box.waitUp()
      await box.waitSsh()

      await box.exec('poweroff')
      await eventually(async () => !box.isOn)
      await box.powerOn()
      await box.waitUp()
      await box.fillFlash()
      assert.notEqual((await box.exec('echo more >/etc/more')).code, 0)
      await box.freeFlash()
      await bootstrapped(box)
    })

    it('box 4: has a tor that procd gives up after six ends, and a tunnel that can be hurt', async () => {
      const box = rack.box(4)
      await box.killTorSixTimes()
      const [peer = ''] = (await box.read('wg genkey | wg pubkey')).split('\n')
      const section = [
        ['interface', 'wg0', 'proto wireguard', `private_key ${(await box.read('wg genkey')).trim()}`],
        ['wireguard_wg0', 'peer', `public_key ${peer}`, `endpoint_host ${rack.hostAddress}`, 'endpoint_port 51824'],
      ]
      const lines = section.flatMap(([type, name, ...options]) => [
        `config ${type} '${name}'`,
        ...options.map((option) => `\toption ${option.replace(/ (.*)/, " '$1'")}`),
        ...(name === 'peer' ? ["\tlist allowed_ips '10.201.4.0/24'"] : ["\tlist addresses '10.201.4.1/24'"]),
      ])
      await box.read('cat >>/etc/config/network', `\n${lines.join('\n')}\n`)
      await box.restoreWg()
      await box.removePeer()
      assert.equal((await box.read('wg show wg0 peers')).trim(), '')
      await box.restorePeer()
      assert.equal((await box.read('wg show wg0 peers')).trim(), peer)
      await box.deleteWg()
      assert.notEqual((await box.exec('wg show wg0')).code, 0)
      await box.restoreWg()
      assert.equal((await box.read('wg show wg0 peers')).trim(), peer)

      // procd would have started it again by now.
      assert.equal(await box.torPid(), undefined)
      const status = await box.exec('/etc/init.d/tor status')
      assert.deepEqual([status.code, status.stdout.trim()], [5, 'not running'])
      await box.startTor()
      await bootstrapped(box)
    })
  })
})

describe('A rack without a Tor network', { timeout: 300_000 }, () => {
  let directory: string
  let router: ChildProcess
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cbtor-rack-test-'))
    const script = 'ip link set lo up; echo up; exec sleep 60'
    router = spawn('unshare', ['--map-root-user', '--net', '--', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 2] })
    if (router.stdout) await once(router.stdout, 'data')
  })
  after(() => {
    router.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  const nowhere = () => ({ isolation: 'namespace' as const, namespacePid: router.pid ?? 0, geoipFile: '/dev/null' })

  it('has bare boxes with either package manager, that get packages from the router', async () => {
    const network = { ...nowhere(), clientTorrc: () => ['DisableNetwork 1'], processes: () => [] }
    await using rack = await BoxRack.create(network, { directory, boxes: 2, bare: [1, 2], apk: [2] })
    const [opkg, apk] = [rack.box(1), rack.box(2)]
    for (const box of rack.boxes) {
      assert.notEqual((await box.exec('command -v tor || command -v wg')).code, 0)
      await box.blockFeed()
    }
    assert.notEqual((await opkg.exec('opkg update && opkg install tor')).code, 0)
    assert.notEqual((await apk.exec('apk update && apk add tor')).code, 0)
    for (const box of rack.boxes) await box.unblockFeed()
    await Promise.all([opkg.read('opkg update && opkg install tor'), apk.read('apk update && apk add tor')])
    for (const box of rack.boxes) assert.notEqual(await eventually(() => box.torPid()), undefined)
  })

  it('leaves nothing when its creation is given up', async () => {
    for (const step of ['the host is connected', 'the system is built']) {
      const giveUp = new AbortController()
      const onProgress = (text: string) => text === step && giveUp.abort(new Error('enough'))
      const network = { ...nowhere(), clientTorrc: () => ['DisableNetwork 1'], processes: () => [] }
      await assert.rejects(BoxRack.create(network, { directory, onProgress }, giveUp.signal), /^Error: enough$/)
      assert.deepEqual([interfaces(), readdirSync(directory)], [['lo'], []])
    }
  })

  it('leaves no process, no interface and no file when its creator is killed', async () => {
    const network = nowhere()
    const creator = spawn(process.execPath, ['--input-type=module', '-e', creatorScript(network, directory)])
    let family: number[] = []
    try {
      const [line] = await once(createInterface(creator.stdout), 'line')
      assert.equal(line, 'up')
      assert.ok(interfaces().includes('wan'))
      // The inside, the feed, and the box: its namespace's keeper, init and services, which init starts one after the other.
      family = await eventually(async () => {
        const seen = descendants(creator)
        return seen.length > 5 && seen
      })
    } finally {
      creator.kill('SIGKILL')
    }
    await eventually(async () => family.every((pid) => !isAlive(pid)), 15_000)
    await eventually(async () => readdirSync(directory).length === 0)
    // The kernel takes a namespace apart a moment after its last process.
    await eventually(async () => interfaces().join() === 'lo')
  })
})

describe('removeHostPeers()', () => {
  it('takes the peers of a tunnel away and brings them back', async () => {
    const wireguard = spawn('wireguard-go', ['-f', 'wg-tor99'], { stdio: 'ignore' })
    try {
      const wg = (...args: string[]) =>
        execFileSync('wg', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
      await eventually(async () => interfaces().includes('wg-tor99'))
      const peer = execFileSync('wg', ['pubkey'], { encoding: 'utf8', input: wg('genkey') }).trim()
      wg('set', 'wg-tor99', 'peer', peer, 'allowed-ips', '0.0.0.0/0')
      {
        await using _ = await removeHostPeers('wg-tor99')
        assert.equal(wg('show', 'wg-tor99', 'peers'), '')
      }
      assert.equal(wg('show', 'wg-tor99', 'allowed-ips').trim(), `${peer}\t0.0.0.0/0`)
    } finally {
      const closed = once(wireguard, 'close')
      wireguard.kill('SIGTERM')
      await closed
    }
  })
})

async function bootstrapped(box: TestBox): Promise<void> {
  await eventually(async () => {
    // Each start begins with a line of its own; what an earlier tor said does not count.
    const log = (await box.exec('logread -e Tor')).stdout
    return log.slice(log.lastIndexOf('Bootstrapped 0%')).includes('Bootstrapped 100%')
  })
}

/** A page through the box's SOCKS port, by what a box has: SOCKS4a and nc, whose input must stay open. */
async function fetchInside(box: TestBox, host: string): Promise<string> {
  return await eventually(async () => {
    const { stdout } = await box.exec(FETCH, `${host}\n`)
    return stdout.includes('HTTP/1.') && stdout
  })
}

const FETCH = `
read -r host
fifo=/tmp/fetch.$$
mkfifo "$fifo"
nc 127.0.0.1 9050 <"$fifo" >"$fifo.out" 2>/dev/null &
nc=$!
exec 3>"$fifo"
printf '\\004\\001\\000\\120\\000\\000\\000\\001\\000%s\\000GET / HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$host" "$host" >&3
seconds=0
while kill -0 "$nc" 2>/dev/null && [ "$seconds" -lt 10 ]; do
	sleep 1
	seconds=$((seconds + 1))
done
kill -9 "$nc" 2>/dev/null
cat "$fifo.out"
rm -f "$fifo" "$fifo.out"
`

function creatorScript(network: object, directory: string): string {
  return `
import { BoxRack } from ${JSON.stringify(RACK_MODULE)}
const network = { ...${JSON.stringify(network)}, clientTorrc: () => ['DisableNetwork 1'], processes: () => [] }
await BoxRack.create(network, { directory: ${JSON.stringify(directory)}, boxes: 1 })
console.log('up')
process.stdin.resume()
`
}

function interfaces(): string[] {
  const names = [...readFileSync('/proc/self/net/dev', 'utf8').matchAll(/^\s*([^\s:|]+):/gm)].map(
    ([, name = '']) => name,
  )
  return names.filter((name) => !/^(?:sit|tunl|gre|gretap|erspan|ip_vti|ip6_vti|ip6tnl|ip6gre|ifb)\d+$/.test(name))
}

/** Every process that `ancestor` has started, and that those have. */
function descendants(ancestor: ChildProcess): number[] {
  const family = [ancestor.pid ?? 0]
  for (const pid of family) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    if (children !== '') family.push(...children.split(' ').map(Number))
  }
  return family
}

/** A zombie that nobody has taken note of yet is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
