import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Clock } from '../../lib/clock.ts'
import { readBoxes, writeBoxFile } from '../box-file.ts'
import { BoxShell } from '../remote/box-shell.ts'
import { findSection } from '../uci-text.ts'
import { wireguardPublicKey } from '../wireguard-keys.ts'
import { FakeBox } from './fake-box.ts'
import { install, showChanges, uninstall } from './installer.ts'
import { readJournal } from './journal.ts'
import { planInstall } from './plan.ts'

const HOST_KEY = `SHA256:${'k'.repeat(43)}`
const PAYLOAD = join(import.meta.dirname, '..', '..', '..', 'openwrt')
const never = new AbortController().signal

/** Waits take no time. */
function hastyClock(): Clock {
  let now = 1_000_000
  return {
    now: () => now,
    monotonic: () => now,
    sleep: async (ms) => {
      now += ms
    },
    timer: () => ({ [Symbol.dispose]() {} }),
  }
}

function lab() {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-install-'))
  const state = join(directory, 'state')
  let box = new FakeBox()
  const shell = (signal = never) => new BoxShell(box, signal)
  const request = (more: object = {}) => ({
    destination: { user: 'root', host: '192.0.2.11', port: 22 },
    hostKey: HOST_KEY,
    keyFile: '/keys/id',
    stateDirectory: state,
    clock: hastyClock(),
    ...more,
  })
  const plan = (more: object = {}) => planInstall(shell(), request(more))
  return {
    get box() {
      return box
    },
    /** Sets the box up anew. */
    reset() {
      box = new FakeBox()
    },
    state,
    directory,
    plan,
    dryRun: async (more: object = {}) => await showChanges(shell(), await plan(more)),
    install: async (more: object = {}, signal = never) =>
      await install({ box: shell(signal), plan: await plan(more), request: request(more), signal }),
    async uninstall() {
      const earlier = await readJournal(shell())
      assert.ok(earlier)
      return await uninstall(shell(), earlier, 'opkg')
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}

/** The changes as lines. */
function linesOf(changes: Awaited<ReturnType<typeof showChanges>>): string[] {
  return changes.flatMap((step) => step.changes)
}

describe('install()', () => {
  it('makes a worker of a bare box and writes its box file', async () => {
    using it = lab()
    await it.install()
    const [boxFile] = readBoxes(it.state)
    assert.equal(boxFile?.id, 'tor01')
    assert.equal(boxFile?.tunnel.hostEndpoint, '192.0.2.2:51821')
    assert.equal(boxFile?.tunnel.boxEndpoint, '192.0.2.11:51820')
    const network = it.box.text('/etc/config/network') ?? ''
    assert.ok(network.startsWith("# mine\nconfig interface 'wan'\n"))
    const privateKey = String(findSection(network, 'wg0')?.options.get('private_key'))
    assert.equal(wireguardPublicKey(privateKey), boxFile?.tunnel.boxPublicKey)
    const peer = findSection(network, 'cbtor_peer')?.options
    assert.equal(peer?.get('public_key'), wireguardPublicKey(boxFile?.tunnel.privateKey ?? ''))
    assert.equal(peer?.get('endpoint_host'), '192.0.2.2')
    assert.match(
      it.box.text('/etc/crontabs/root') ?? '',
      /mine\n\* \* \* \* \* \/usr\/local\/bin\/tor-health-check\.sh/,
    )
    assert.equal(it.box.files.get('/usr/local/bin/tor-health-check.sh')?.mode, 0o755)
  })

  it('changes nothing the second time', async () => {
    using it = lab()
    await it.install()
    const before = it.box.snapshot()
    const services = it.box.services.length
    assert.deepEqual(await it.install(), [])
    assert.deepEqual(it.box.snapshot(), before)
    assert.equal(it.box.services.length, services)
  })

  it('shows every change in a dry run, no secret, and makes none', async () => {
    using it = lab()
    const before = it.box.snapshot()
    const lines = linesOf(await it.dryRun())
    for (const expected of [
      '+ package tor (opkg), with what it needs',
      "uci set network.wg0.proto='wireguard'",
      'uci set network.wg0.private_key=(secret)',
      "uci add_list tor.conf.tail_include='/etc/tor/torrc.d/cbtor.conf'",
      '+ /etc/sysupgrade.conf: /etc/cbtor/',
      '/etc/init.d/tor restart',
    ]) {
      assert.ok(lines.includes(expected), `${expected} in\n${lines.join('\n')}`)
    }
    assert.ok(lines.some((line) => /^\+ \/usr\/local\/bin\/tor-health-check\.sh \(new, [\d.]+ kB\)$/.test(line)))
    assert.deepEqual(it.box.snapshot(), before)
    assert.deepEqual(readBoxes(it.state), [])
  })

  it('upgrades what changed, and keeps settings of the operator', async () => {
    using it = lab()
    await it.install()
    const payloadDirectory = join(it.directory, 'openwrt')
    cpSync(PAYLOAD, payloadDirectory, { recursive: true })
    writeFileSync(join(payloadDirectory, 'health.conf'), 'TEST_TIMEOUT=31\n')
    writeFileSync(join(payloadDirectory, 'torrc.d', 'cbtor.conf'), 'SocksPort 9050\n')
    it.box.put('/etc/cbtor/health.conf', 'TEST_TIMEOUT=60\n')
    const changes = linesOf(await it.install({ payloadDirectory }))
    assert.equal(changes.filter((line) => line.startsWith('~')).length, 1, changes.join('\n'))
    assert.equal(it.box.text('/etc/tor/torrc.d/cbtor.conf'), 'SocksPort 9050\n')
    assert.equal(it.box.text('/etc/cbtor/health.conf'), 'TEST_TIMEOUT=60\n')
    assert.equal(it.box.services.at(-1), 'tor start')
    assert.notEqual(readBoxes(it.state)[0]?.payload, undefined)
  })

  it('takes everything back when the user interrupts', async () => {
    using it = lab()
    const before = it.box.snapshot()
    const interrupt = new AbortController()
    const run = it.box.run.bind(it.box)
    it.box.run = async (command, options, signal) => {
      if (it.box.packages.has('tor')) interrupt.abort(new Error('Interrupted by SIGINT'))
      return await run(command, options, signal)
    }
    await assert.rejects(
      it.install({}, interrupt.signal),
      /Interrupted by SIGINT\. Everything that this run had changed was taken back/,
    )
    assert.deepEqual(it.box.snapshot(), before)
  })
})

describe('uninstall()', () => {
  it('leaves the box as it was, byte for byte', async () => {
    using it = lab()
    const before = it.box.snapshot()
    await it.install()
    assert.deepEqual(await it.uninstall(), [])
    assert.deepEqual(it.box.snapshot(), before)
  })

  it('leaves what was there: a Tor, its configuration, a crontab', async () => {
    using it = lab()
    it.box.packages.add('tor').add('libevent2').add('wireguard-tools')
    it.box.enabled.add('tor')
    it.box.running.add('tor')
    it.box.put('/etc/tor/torrc', 'User tor\n# mine\n')
    it.box.put('/etc/config/tor', "config tor 'conf'\n\toption default '/etc/tor/torrc'\n")
    const before = it.box.snapshot()
    await it.install()
    await it.uninstall()
    assert.deepEqual(it.box.snapshot(), before)
    assert.ok(it.box.running.has('tor'))
  })

  it('takes only our part out of files that others changed since', async () => {
    using it = lab()
    await it.install()
    it.box.put('/etc/config/network', `${it.box.text('/etc/config/network')}\nconfig interface 'guest'\n`)
    it.box.put('/etc/crontabs/root', `${it.box.text('/etc/crontabs/root')}5 5 * * * /root/new\n`)
    const remarks = await it.uninstall()
    assert.equal(
      it.box.text('/etc/config/network'),
      "# mine\nconfig interface 'wan'\n\toption proto 'dhcp'\n\nconfig interface 'guest'\n",
    )
    assert.equal(it.box.text('/etc/crontabs/root'), '0 4 * * * /root/mine\n5 5 * * * /root/new\n')
    assert.equal(remarks.length, 2)
    assert.match(remarks.join(), /only our part was taken out/)
  })

  it('says what others wrote of files that are gone', async () => {
    using it = lab()
    await it.install()
    const edited = (it.box.text('/etc/crontabs/root') ?? '').replace('* * * * * /usr', '*/5 * * * * /usr')
    it.box.put('/etc/crontabs/root', edited)
    assert.deepEqual(await it.uninstall(), [
      '/etc/crontabs/root names /usr/local/bin/tor-health-check.sh still, in a line of somebody else, and that file is gone',
    ])
    assert.equal(it.box.text('/etc/crontabs/root'), edited)
  })

  it('does so, too, when another installation came after the change of others', async () => {
    using it = lab()
    await it.install()
    it.box.put('/etc/config/network', `${it.box.text('/etc/config/network')}\nconfig interface 'guest'\n`)
    await it.install({ hostEndpoint: '192.0.2.9:51821' })
    await it.uninstall()
    assert.match(it.box.text('/etc/config/network') ?? '', /'guest'/)
    assert.doesNotMatch(it.box.text('/etc/config/network') ?? '', /wg0|cbtor/)
  })
})

describe('whatever happens at whichever command', () => {
  /** How many commands an installation takes. */
  async function commandsOf(more: object = {}): Promise<number> {
    using it = lab()
    await it.install(more)
    return it.box.commands
  }

  // To lose it after a command is to lose it before the next; the last one only tidies up.
  it('a lost connection leaves what the next run completes, and what can be taken away', async () => {
    const count = await commandsOf()
    for (let at = 1; at < count; at++) {
      using it = lab()
      const before = it.box.snapshot()
      it.box.mishap = { at, kind: 'lost-after' }
      await assert.rejects(it.install(), /connection was lost/, String(at))
      it.box.mishap = undefined
      await it.install()
      assert.deepEqual(await it.install(), [], String(at))
      assert.deepEqual(await it.uninstall(), [], String(at))
      assert.deepEqual(it.box.snapshot(), before, String(at))
    }
  })

  it('a lost connection leaves what can be taken away without completing it', async () => {
    const count = await commandsOf()
    for (let at = 1; at < count; at++) {
      using it = lab()
      const before = it.box.snapshot()
      it.box.mishap = { at, kind: 'lost-after' }
      await assert.rejects(it.install(), /connection was lost/)
      it.box.mishap = undefined
      if (!it.box.files.has('/etc/cbtor/install.json')) continue
      await it.uninstall()
      assert.deepEqual(it.box.snapshot(), before, String(at))
    }
  })

  it('an uninstall that was cut off is completed by the next', async () => {
    for (let at = 1; ; at++) {
      using it = lab()
      const before = it.box.snapshot()
      await it.install()
      it.box.mishap = { at: it.box.commands + at, kind: 'lost-after' }
      const ended = await it.uninstall().then(
        () => true,
        () => false,
      )
      it.box.mishap = undefined
      if (it.box.files.has('/etc/cbtor/install.json')) await it.uninstall()
      else it.box.directories.delete('/etc/cbtor')
      assert.deepEqual(it.box.snapshot(), before, String(at))
      if (ended) break
    }
  })

  it('a command that fails leaves the box as it was, and says so', async () => {
    const count = await commandsOf()
    for (let at = 1; at <= count; at++) {
      using it = lab()
      const before = it.box.snapshot()
      it.box.mishap = { at, kind: 'fails' }
      const error = await it.install().then(
        () => undefined,
        (reason: Error) => reason,
      )
      if (!error) continue
      assert.deepEqual(it.box.snapshot(), before, `${at}: ${error.message}`)
      assert.deepEqual(readBoxes(it.state), [])
    }
  })

  /** A payload that differs in each way in which a later one can. */
  function laterPayload(directory: string): string {
    const payloadDirectory = join(directory, 'openwrt')
    cpSync(PAYLOAD, payloadDirectory, { recursive: true })
    writeFileSync(join(payloadDirectory, 'VERSION'), '9.9.9\n')
    writeFileSync(join(payloadDirectory, 'health.conf'), 'TEST_TIMEOUT=31\n')
    writeFileSync(join(payloadDirectory, 'torrc.d', 'cbtor.conf'), 'SocksPort 9050\n')
    writeFileSync(join(payloadDirectory, 'crontab'), '*/2 * * * * /usr/local/bin/tor-health-check.sh\n')
    const manifest = readFileSync(join(PAYLOAD, 'manifest'), 'utf8').replace('iface/99-cbtor', 'iface/90-cbtor')
    writeFileSync(join(payloadDirectory, 'manifest'), manifest)
    writeFileSync(join(payloadDirectory, 'tor.uci'), `add_list tor.conf.head_include='/etc/tor/torrc.d/cbtor.conf'\n`)
    const firewall = readFileSync(join(PAYLOAD, 'firewall.uci'), 'utf8').replaceAll('cbtor_ping', 'cbtor_echo')
    writeFileSync(join(payloadDirectory, 'firewall.uci'), firewall)
    return payloadDirectory
  }

  it('a failed upgrade leaves the version that was there', async () => {
    using scratch = lab()
    const payloadDirectory = laterPayload(scratch.directory)
    for (let at = 1; ; at++) {
      using it = lab()
      const bare = it.box.snapshot()
      await it.install()
      const before = it.box.snapshot()
      const boxes = readBoxes(it.state)
      it.box.mishap = { at: it.box.commands + at, kind: 'fails' }
      const failed = await it.install({ payloadDirectory }).then(
        () => false,
        () => true,
      )
      const isOver = it.box.commands < it.box.mishap.at
      it.box.mishap = undefined
      if (failed) assert.deepEqual(it.box.snapshot(), before, String(at))
      if (failed) assert.deepEqual(readBoxes(it.state), boxes, String(at))
      assert.deepEqual(await it.uninstall(), [], String(at))
      assert.deepEqual(it.box.snapshot(), bare, String(at))
      if (isOver) break
    }
  })

  it('an upgrade that was cut off is completed by the next, and can be taken away', async () => {
    using scratch = lab()
    const payloadDirectory = laterPayload(scratch.directory)
    for (let at = 1; ; at++) {
      using it = lab()
      const bare = it.box.snapshot()
      await it.install()
      it.box.mishap = { at: it.box.commands + at, kind: 'lost-after' }
      const ended = await it.install({ payloadDirectory }).then(
        () => true,
        () => false,
      )
      it.box.mishap = undefined
      await it.install({ payloadDirectory })
      assert.deepEqual(await it.install({ payloadDirectory }), [], String(at))
      assert.equal(
        it.box.text('/etc/crontabs/root'),
        '0 4 * * * /root/mine\n*/2 * * * * /usr/local/bin/tor-health-check.sh\n',
        String(at),
      )
      assert.equal(it.box.text('/etc/cbtor/health.conf'), 'TEST_TIMEOUT=31\n', String(at))
      assert.doesNotMatch(it.box.text('/etc/config/firewall') ?? '', /cbtor_ping/)
      assert.doesNotMatch(it.box.text('/etc/config/tor') ?? '', /tail_include/)
      assert.equal(it.box.text('/etc/hotplug.d/iface/99-cbtor'), undefined)
      assert.notEqual(it.box.text('/etc/hotplug.d/iface/90-cbtor'), undefined)
      assert.deepEqual(await it.uninstall(), [], String(at))
      assert.deepEqual(it.box.snapshot(), bare, String(at))
      if (ended) break
    }
  })
})

describe('a box that cannot become a worker', () => {
  const cases: readonly [name: string, make: (box: FakeBox) => void, message: RegExp][] = [
    ['no OpenWrt', (box) => box.files.delete('/etc/openwrt_release'), /It is no OpenWrt: .*OpenWrt 22\.03 or newer/],
    ['no space', (box) => (box.freeKb = 900), /no space: 0\.9 MB are free .* 10\.3 MB are needed .*extroot/],
    ['a wrong clock', (box) => (box.clockS = 1_000 - 7_200), /clock is 120 minutes behind.*sysntpd restart/],
    [
      'a torrc of somebody else',
      (box) => box.put('/etc/tor/torrc', 'User tor\n\nSocksPort 192.168.1.1:9100\n'),
      /\/etc\/tor\/torrc line 3: "SocksPort 192\.168\.1\.1:9100".*Put a # before/,
    ],
    [
      'a wg0 of somebody else',
      (box) => box.put('/etc/config/network', "config interface 'wg0'\n\toption proto 'wireguard'\n"),
      /wg0 of somebody else in \/etc\/config\/network.*uci delete network\.wg0/,
    ],
    [
      'a WireGuard interface with our port',
      (box) =>
        box.put(
          '/etc/config/network',
          "config interface 'vpn'\n\toption proto wireguard\n\toption listen_port 51820\n",
        ),
      /WireGuard interface vpn has UDP port 51820.*uci set network\.vpn\.listen_port/,
    ],
    [
      'a zone of that name',
      (box) => box.put('/etc/config/firewall', "config zone\n\toption name 'wgtor'\n"),
      /firewall has a zone wgtor of somebody else/,
    ],
    [
      'a forwarding out of everywhere, in odd quotes',
      (box) =>
        box.put('/etc/config/firewall', 'config\tforwarding # all\r\n\toption \'src\' "*"\r\n\toption dest wan\r\n'),
      /forwards from every zone to wan/,
    ],
    [
      'a forwarding out of the tunnel',
      (box) => box.put('/etc/config/firewall', 'config forwarding\n\toption src wgtor\n\toption dest wan\n'),
      /forwards from zone wgtor to wan: traffic of the tunnel would leave in clear/,
    ],
  ]
  for (const [name, make, message] of cases) {
    it(`says so and how to mend it: ${name}`, async () => {
      using it = lab()
      make(it.box)
      const before = it.box.snapshot()
      await assert.rejects(it.install(), message)
      assert.deepEqual(it.box.snapshot(), before)
      assert.deepEqual(readBoxes(it.state), [])
    })
  }

  it('says all at once', async () => {
    using it = lab()
    it.box.freeKb = 0
    it.box.put('/etc/tor/torrc', 'ControlPort 9051\n')
    await assert.rejects(it.install(), /nothing was changed\..*\n {2}1\. .*\n {2}2\. /)
  })

  it('says what opkg needs', async () => {
    for (const [said, message] of [
      [
        'Downloading http://feed/Packages.gz\n*** Failed to download the package list',
        /cannot reach its package feed.*opkg update/,
      ],
      [' * Only have 40kb available on filesystem /overlay', /no space is left on the box.*extroot/],
      [' * Unknown package', /opkg failed\. See that `opkg install tor wireguard-tools` works/],
    ] as const) {
      using it = lab()
      const before = it.box.snapshot()
      it.box.opkgFailure = said
      await assert.rejects(it.install(), message)
      assert.deepEqual(it.box.snapshot(), before)
    }
  })

  it('says what Tor refuses, and takes everything back', async () => {
    using it = lab()
    const before = it.box.snapshot()
    it.box.refusesTorrc = true
    await assert.rejects(it.install(), /Tor: it refuses its configuration.*Unknown option "Sosk"/)
    assert.deepEqual(it.box.snapshot(), before)
  })
})

describe('ids and tunnels', () => {
  it('takes the lowest free tunnel, and refuses one that is taken', async () => {
    using it = lab()
    await it.install({ tunnel: 2 })
    const [first] = readBoxes(it.state)
    assert.ok(first)
    using other = lab()
    writeBoxFile(other.state, first)
    const hostKey = `SHA256:${'m'.repeat(43)}`
    await assert.rejects(
      other.install({ hostKey, tunnel: 2 }),
      /worker tor02 \(192\.0\.2\.11\) has that number\. .*--tunnel 1/,
    )
    await assert.rejects(other.install({ hostKey, id: 'tor02' }), /is the worker of that id.*--id/)
    await other.install({ hostKey })
    assert.deepEqual(
      readBoxes(other.state).map(({ id }) => id),
      ['tor01', 'tor02'],
    )
  })

  it('does not take a box away from another gateway', async () => {
    using it = lab()
    await it.install()
    await assert.rejects(
      it.install({ stateDirectory: join(it.directory, 'elsewhere') }),
      /it is worker tor01 of another gateway.*cbtor worker uninstall root@192\.0\.2\.11/,
    )
  })

  it('gives a box that was set up anew the place it had, once its new host key is accepted', async () => {
    using it = lab()
    await it.install({ tunnel: 3, id: 'office', hostEndpoint: '[2001:db8::2]:51999' })
    const [former] = readBoxes(it.state)
    assert.ok(former)
    it.reset()
    const hostKey = `SHA256:${'n'.repeat(43)}`
    const asked = { hostKey, known: former }
    for (const other of [{ id: 'tor01' }, { tunnel: 1 }])
      await assert.rejects(it.install({ ...asked, ...other }), /it is office with tunnel 3 already/)
    assert.equal((await it.plan({ ...asked, id: 'office' })).place?.ssh.hostKey, HOST_KEY)

    // Cut off and run again, it is the same.
    it.box.mishap = { at: it.box.commands + 25, kind: 'lost-after' }
    await assert.rejects(it.install(asked), /connection was lost/)
    assert.deepEqual(readBoxes(it.state), [former])
    it.box.mishap = undefined
    await it.install({ ...asked, tunnel: 3 })

    const [now, ...more] = readBoxes(it.state)
    assert.deepEqual(more, [])
    assert.ok(now && now.tunnel.boxPublicKey !== former.tunnel.boxPublicKey)
    const { boxPublicKey } = now.tunnel
    assert.deepEqual(now, { ...former, ssh: { ...former.ssh, hostKey }, tunnel: { ...former.tunnel, boxPublicKey } })
    const peer = findSection(it.box.text('/etc/config/network') ?? '', 'cbtor_peer')?.options
    assert.equal(peer?.get('public_key'), wireguardPublicKey(former.tunnel.privateKey))
    assert.equal(peer?.get('endpoint_host'), '2001:db8::2')
  })

  it('leaves the place as it was when that fails', async () => {
    using it = lab()
    await it.install()
    const before = readBoxes(it.state)
    it.reset()
    it.box.refusesTorrc = true
    const [known] = before
    await assert.rejects(it.install({ hostKey: `SHA256:${'n'.repeat(43)}`, known }), /refuses its configuration/)
    assert.deepEqual(readBoxes(it.state), before)
  })

  it('keeps a worker that has new host keys only', async () => {
    using it = lab()
    await it.install()
    const [known] = readBoxes(it.state)
    const hostKey = `SHA256:${'n'.repeat(43)}`
    assert.deepEqual(await it.install({ hostKey, known }), [])
    assert.ok(known)
    assert.deepEqual(readBoxes(it.state), [{ ...known, ssh: { ...known.ssh, hostKey } }])
  })

  it('takes back what it did when another installation was faster to take the number', async () => {
    using it = lab()
    const before = it.box.snapshot()
    const plan = await it.plan()
    const other = {
      ...plan.boxFile,
      ssh: { ...plan.boxFile.ssh, host: '192.0.2.12', hostKey: `SHA256:${'o'.repeat(43)}` },
    }
    const run = it.box.run.bind(it.box)
    it.box.run = async (...command) => {
      if (it.box.packages.has('tor') && readBoxes(it.state).length === 0) writeBoxFile(it.state, other)
      return await run(...command)
    }
    await assert.rejects(it.install(), /192\.0\.2\.12 has become tor01, tunnel 1, meanwhile\. Run this again/)
    assert.deepEqual(it.box.snapshot(), before)
    assert.deepEqual(readBoxes(it.state), [other])
  })

  it('changes nothing while another machine does', async () => {
    using it = lab()
    const before = it.box.snapshot()
    it.box.heldBy = '192.0.2.99'
    await assert.rejects(it.install(), /another machine, 192\.0\.2\.99, is installing.*Nothing was changed/)
    assert.deepEqual(it.box.snapshot(), before)
  })

  it('leaves the box to another installation that began meanwhile', async () => {
    using it = lab()
    const elsewhere = { stateDirectory: join(it.directory, 'elsewhere') }
    const run = it.box.run.bind(it.box)
    let isBegun = false
    it.box.run = async (...command) => {
      if (!isBegun && it.box.packages.has('tor')) {
        isBegun = true
        await it.install(elsewhere)
      }
      return await run(...command)
    }
    await assert.rejects(it.install(), /Another installation .* began meanwhile, so nothing was taken back/)
    assert.deepEqual(await it.install(elsewhere), [])
    assert.deepEqual(readBoxes(it.state), [])
  })

  it('does not rename a worker', async () => {
    using it = lab()
    await it.install()
    await assert.rejects(it.install({ id: 'tor07' }), /it is tor01 with tunnel 1 already/)
  })
})
