/**
 * `cbtor worker` on real test boxes, over a real dropbear: every change to their flash is compared file by file. Run it as real root
 * in an empty network namespace: `unshare --net node --test test/openwrt/install.test.ts`. About two minutes; needs no internet.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readBoxes } from '../../src/boxes/box-file.ts'
import { generateKeyPair } from '../../src/ssh/keys.ts'
import type { TestBox } from '../../src/testnet/boxes/box.ts'
import { InstallLab, type Ran } from './install-lab.ts'
import { eventually, knock } from './rack-host.ts'

const PAYLOAD = join(import.meta.dirname, '..', '..', 'openwrt')

describe('cbtor worker', { timeout: 400_000 }, () => {
  let lab: InstallLab
  before(async () => {
    // Box 1 is bare, box 2 as well and has apk, box 3 has a Tor and WireGuard of its owner.
    lab = await InstallLab.create({ boxes: 3, bare: [1, 2], apk: [2] })
  })
  after(async () => {
    await lab?.[Symbol.asyncDispose]()
  })

  const install = (box: TestBox, ...more: string[]) =>
    lab.worker(['install', box.address, '--accept-host-key', box.hostKey, '--tunnel', String(box.n), ...more])

  it('makes a worker of a bare box within a minute, keeps it one, and leaves it as it was', async () => {
    const box = lab.rack.box(1)
    const bare = await box.snapshot()

    const dry = done(await install(box, '--dry-run'))
    assert.match(dry.out, /^ {2}\+ package tor \(opkg\)/m)
    assert.match(dry.out, /^ {2}uci set network\.wg0\.proto='wireguard'$/m)
    assert.match(dry.out, /Nothing was changed: this was a dry run of root@192\.0\.2\.11:22 as tor01, tunnel 1\./)
    assertSame(await box.snapshot(), bare)
    assert.deepEqual(readBoxes(lab.state), [])

    const older = join(lab.directory, 'older')
    cpSync(PAYLOAD, older, { recursive: true })
    writeFileSync(join(older, 'VERSION'), '0.9.0\n')
    writeFileSync(join(older, 'crontab'), '*/2 * * * * /usr/local/bin/tor-health-check.sh\n')
    const began = performance.now()
    const argv = ['install', box.address, '--accept-host-key', box.hostKey]
    const first = done(await lab.worker(argv, { payloadDirectory: older }))
    assert.ok(performance.now() - began < 60_000)
    assert.match(first.out, /cbtor tunnel up tor01\n/)
    assert.match(first.out, /- kind: openwrt\n +id: tor01\n/)

    const outdated = await lab.worker(['check', 'tor01'])
    assert.match(outdated.out, /^WRONG +version +0\.9\.0\+\w+, and this CBTOR has \d/m)
    assert.match(outdated.failure ?? '', /wrong on tor01: .*version/)
    const upgraded = done(await lab.worker(['upgrade', 'tor01']))
    assert.match(upgraded.out, /^ {2}~ \/etc\/cbtor\/version \(6 B -> 6 B\)$/m)
    assert.match(upgraded.out, /^ {2}- \/etc\/crontabs\/root: \*\/2 \* \* \* \* /m)
    assert.doesNotMatch(upgraded.out, /wg0|package/)
    assert.doesNotMatch(await box.read('cat /etc/crontabs/root'), /\*\/2/)
    await checkedRight('tor01')

    const installed = await box.snapshot()
    const again = done(await lab.worker(['install', 'tor01']))
    assert.match(again.out, /^root@192\.0\.2\.11:22 is tor01, tunnel 1\. Nothing had to be changed\.$/m)
    assertSame(await box.snapshot(), installed)

    await box.reboot()
    await answering(box)
    await checkedRight('tor01')

    done(await lab.worker(['uninstall', 'tor01']))
    assertSame(await box.snapshot(), bare)
    assert.deepEqual(readBoxes(lab.state), [])
    assert.equal(await box.torPid(), undefined)
    assert.notEqual((await box.exec('test -e /sys/class/net/wg0')).code, 0)
    assert.match(
      (await lab.worker(['check', box.address, '--accept-host-key', box.hostKey])).failure ?? '',
      /Install it first/,
    )
  })

  it('upgrades no box that is no worker', async () => {
    const box = lab.rack.box(1)
    const refused = await lab.worker(['upgrade', box.address, '--accept-host-key', box.hostKey])
    assert.match(refused.failure ?? '', /it is no worker\. Install it: cbtor worker install root@192\.0\.2\.11:22/)
  })

  it('does the same on a box with apk, even when its plug is pulled in the middle', async () => {
    const box = lab.rack.box(2)
    const bare = await box.snapshot()
    let isPulled: Promise<void> | undefined
    const cut = await lab.worker(['install', box.address, '--accept-host-key', box.hostKey, '--tunnel', '2'], {
      onStep: (name) => {
        if (name === 'network') isPulled = box.powerOff()
      },
    })
    assert.match(
      cut.failure ?? '',
      /step "[\w ]+" failed.*Run the same command again to go on, or take it back: cbtor worker uninstall/,
    )
    await isPulled
    assert.deepEqual(readBoxes(lab.state), [])
    await box.powerOn()
    await box.waitUp()
    await answering(box)
    done(await install(box))
    await checkedRight('tor02')
    done(await lab.worker(['uninstall', 'tor02']))
    assertSame(await box.snapshot(), bare)
  })

  it('leaves the owner his Tor and his changes', async () => {
    const box = lab.rack.box(3)
    const before = await box.snapshot()
    done(await install(box, '--json'))
    await box.read(`printf '\\nconfig interface guest\\n\\toption proto none\\n' >>/etc/config/network`)
    const gone = done(await lab.worker(['uninstall', 'tor03']))
    assert.match(gone.out, /^note: \/etc\/config\/network was changed by others since: only our part was taken out$/m)
    const changed = await box.snapshot()
    assert.match(await box.read('cat /etc/config/network'), /\n\nconfig interface guest\n\toption proto none\n$/)
    assertSame(without(changed, '/etc/config/network'), without(before, '/etc/config/network'))
    await eventually(async () => (await box.torPid()) !== undefined)
  })

  it('goes on after a connection that was lost, or takes back what there is', async () => {
    const box = lab.rack.box(1)
    const bare = await box.snapshot()
    for (const [step, isCompleted] of [
      ['packages', false],
      ['firewall', true],
      ['services', false],
    ] as const) {
      let isCut: Promise<unknown> | undefined
      const cut = await lab.worker(['install', box.address, '--accept-host-key', box.hostKey], {
        onStep: (name) => {
          if (name === step) isCut = cutOff(box)
        },
      })
      assert.match(cut.failure ?? '', /What was done so far is noted on the box/, step)
      await isCut
      await box.startDropbear()
      await answering(box)
      if (isCompleted) {
        done(await install(box))
        await checkedRight('tor01')
      }
      done(await lab.worker(['uninstall', box.address, '--accept-host-key', box.hostKey]))
      assertSame(await box.snapshot(), bare)
    }
  })

  describe('with nothing changed says what is wrong and how to mend it:', () => {
    /** Runs an installation of a box that cannot be one; gives its message. */
    async function refused(box: TestBox, attempt: Promise<Ran>, expected: RegExp): Promise<void> {
      const { failure, out } = await attempt
      assert.match(failure ?? `It was done: ${out}`, expected)
      assert.deepEqual(
        readBoxes(lab.state).filter(({ ssh }) => ssh.host === box.address),
        [],
      )
    }

    it('a package feed that cannot be reached', async () => {
      const box = lab.rack.box(1)
      const bare = await box.snapshot()
      await box.blockFeed()
      await refused(
        box,
        install(box),
        /Cannot install root@192\.0\.2\.11:22: the step "packages" failed\. .*cannot reach its package feed.*`opkg update`.*taken back/s,
      )
      await box.unblockFeed()
      assertSame(await box.snapshot(), bare)
      const apk = lab.rack.box(2)
      await apk.blockFeed()
      await refused(apk, install(apk), /cannot reach its package feed.*`apk update`/s)
      await apk.unblockFeed()
    })

    it('no space, at once or in the middle', async () => {
      const box = lab.rack.box(1)
      const bare = await box.snapshot()
      await box.fillFlash()
      await refused(box, install(box), /nothing was changed\. There is no space: .*extroot/)
      await box.freeFlash()
      assertSame(await box.snapshot(), bare)
      // Enough for what packages take on a real box, too little for those of this one.
      await box.read(
        'dd if=/dev/zero of=/root/.filler bs=1024 count=$(($(df -k /etc | awk "END { print \\$(NF-2) }") - 11000)) 2>/dev/null',
      )
      await refused(box, install(box), /no space is left on the box.*taken back/s)
      await box.freeFlash()
      assertSame(await box.snapshot(), bare)
    })

    it("a torrc, a WireGuard interface and a zone of somebody else's", async () => {
      const box = lab.rack.box(3)
      const files = '/etc/tor/torrc /etc/config/network /etc/config/firewall'
      await box.read(`cd / && tar -cf /tmp/before.tar ${files}`)
      await box.read(`echo 'SocksPort 192.168.1.1:9100' >>/etc/tor/torrc
        printf "\\nconfig interface 'wg0'\\n\\toption proto 'wireguard'\\n\\toption listen_port '51820'\\n" >>/etc/config/network
        printf "\\nconfig zone\\n\\toption name 'wgtor'\\n\\tlist network 'wg0'\\n" >>/etc/config/firewall`)
      const foreign = await box.snapshot()
      await refused(
        box,
        install(box),
        /nothing was changed\..*1\. Its torrc has .*torrc line \d+: "SocksPort 192\.168\.1\.1:9100".*2\. It has a wg0 of somebody else.*3\. Its firewall has a zone wgtor/s,
      )
      assertSame(await box.snapshot(), foreign)
      await box.read('cd / && tar -xf /tmp/before.tar')
    })

    it('a host key that is not the one, and one that has changed', async () => {
      const box = lab.rack.box(3)
      const wrong = `SHA256:${'A'.repeat(43)}`
      const first = await lab.worker(['install', box.address])
      assert.match(
        first.failure ?? '',
        new RegExp(`is ${box.hostKey.replace(/[+/]/g, '.')}, seen for the first time.*--accept-host-key SHA256:`),
      )
      const other = await lab.worker(['install', box.address, '--accept-host-key', wrong])
      assert.match(other.failure ?? '', /the one that you accept is SHA256:A+\. Nothing was sent to it/)
      const questions: string[] = []
      const asked = await lab.worker(['install', box.address], {
        confirm: async (question) => {
          questions.push(question)
          return true
        },
      })
      done(asked)
      assert.ok(questions.join().includes(box.hostKey))

      const key = '/etc/dropbear/dropbear_ed25519_host_key'
      await box.read(`cp -p ${key} /tmp/key && rm ${key} && dropbearkey -t ed25519 -f ${key}`)
      await box.stopDropbear()
      await box.startDropbear()
      await answering(box)
      const changed = await lab.worker(['check', 'tor01'])
      assert.match(
        changed.failure ?? '',
        /its host key has changed\..*Nothing was sent to it\..*--accept-host-key SHA256:/,
      )
      // As that of a box that was set up anew would be.
      const hostKey = /accept-host-key (SHA256:[\w+/]+)/.exec(changed.failure ?? '')?.[1] ?? ''
      const [former] = readBoxes(lab.state)
      const anew = done(await lab.worker(['install', 'tor01', '--accept-host-key', hostKey]))
      assert.ok(anew.out.includes(`in the place of the box whose host key was ${box.hostKey}.`), anew.out)
      assert.match(anew.out, /restart the service/)
      assert.deepEqual(readBoxes(lab.state), [{ ...former, ssh: { ...former?.ssh, hostKey } }])
      await checkedRight('tor01')
      done(await lab.worker(['uninstall', 'tor01']))
      await box.read(`cp -p /tmp/key ${key}`)
      await box.stopDropbear()
      await box.startDropbear()
      await answering(box)
    })

    it('a key that the box refuses, also one that was made for it just now', async () => {
      const box = lab.rack.box(3)
      const keyFile = join(lab.directory, 'refused')
      writeFileSync(keyFile, generateKeyPair().privateKey, { mode: 0o600 })
      const refusedKey = await install(box, '--key', keyFile)
      assert.match(
        refusedKey.failure ?? '',
        /refuses the key .*refused\. .*\/etc\/dropbear\/authorized_keys.*\n {2}ssh-keygen -y -f /,
      )
      const missing = await install(box, '--key', join(lab.directory, 'missing'))
      assert.match(missing.failure ?? '', /there is no such file\. Give one with --key, or leave it out/)
    })

    it('a tunnel that another worker has, and what is no box', async () => {
      const [box, other] = [lab.rack.box(3), lab.rack.box(1)]
      done(await install(box))
      const taken = await lab.worker(['install', other.address, '--accept-host-key', other.hostKey, '--tunnel', '3'])
      assert.match(taken.failure ?? '', /worker tor03 \(192\.0\.2\.13\) has that number\. Give another one: --tunnel 1/)
      done(await lab.worker(['uninstall', 'tor03']))
      for (const [host, expected] of [
        ['a;reboot', /Cannot use "a;reboot" as a box: .*Right would be root@192\.0\.2\.11:22/],
        ['root@a b', /it holds a blank/],
        ['192.0.2.300', /no IPv4 address/],
      ] as const) {
        assert.match((await lab.worker(['install', host])).failure ?? '', expected)
      }
      const option = await lab.worker(['install', '-oProxyCommand=reboot'])
      assert.match(option.err, /unknown option.*\nA box is given as root@192\.0\.2\.11:22.*never begins with "-"/s)
      const behindDashes = await lab.worker([
        'install',
        '--key',
        '/x',
        '--state',
        lab.state,
        '--',
        '-oProxyCommand=reboot',
      ])
      assert.match(behindDashes.failure ?? '', /Cannot use "-oProxyCommand=reboot" as a box: .*does not begin with "-"/)
    })
  })

  it('makes a key of its own where none is given, and says where it has to go', async () => {
    const box = lab.rack.box(3)
    const state = join(lab.directory, 'fresh')
    const argv = ['install', box.address, '--accept-host-key', box.hostKey]
    const refused = await lab.worker(argv, { ownKey: state })
    const line = readFileSync(join(state, 'ssh', 'id_ed25519.pub'), 'utf8').trim()
    assert.ok(refused.failure?.endsWith(`The line: ${line}`), refused.failure)
    await box.read('cp -p /etc/dropbear/authorized_keys /tmp/keys && cat >>/etc/dropbear/authorized_keys', `${line}\n`)
    done(await lab.worker(argv, { ownKey: state }))
    done(await lab.worker(['uninstall', 'tor01'], { ownKey: state }))
    await box.read('cp -p /tmp/keys /etc/dropbear/authorized_keys')
  })

  async function checkedRight(id: string): Promise<void> {
    // The rack has no Tor network, so what the health check of the box finds out is that there is none.
    const { out } = await lab.worker(['check', id, '--json'])
    const { findings } = JSON.parse(out) as { findings: { name: string; right: boolean; text: string }[] }
    assert.ok(findings.length >= 18)
    assert.deepEqual(
      findings.filter(({ name, right }) => !right && name !== 'health'),
      [],
    )
  }
})

function done(ran: Ran): Ran {
  assert.equal(ran.failure, undefined)
  return ran
}

/** dropbear and its connections are gone, what they had begun goes on. */
async function cutOff(box: TestBox): Promise<void> {
  await box.stopDropbear()
  await box.exec('kill -9 $(pidof dropbear)')
}

async function answering(box: TestBox): Promise<void> {
  await eventually(async () => (await knock(box.address, 22, 1_000)).startsWith('SSH-'))
}

function without(files: ReadonlyMap<string, string>, path: string): Map<string, string> {
  return new Map([...files].filter(([one]) => one !== path))
}

function assertSame(now: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): void {
  const differing = [...new Set([...before.keys(), ...now.keys()])].filter((path) => before.get(path) !== now.get(path))
  assert.deepEqual(
    differing.map((path) => `${path}: ${before.get(path)} -> ${now.get(path)}`),
    [],
  )
}
