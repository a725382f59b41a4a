import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { writeBoxFile } from '../../src/boxes/box-file.ts'
import { createWireguardKeys } from '../../src/boxes/wireguard-keys.ts'
import { generateKeyPair } from '../../src/ssh/keys.ts'
import { eventually } from '../asking.ts'
import { assertSame, Bench, done, type InstallLab, without } from './install-lab.ts'

const KEYS = createWireguardKeys()

/** What a box meets that has an owner with a Tor of his own, and a gateway with what is wrong. */
export function ownedBox(lab: () => InstallLab): void {
  describe('on a box with a Tor and WireGuard of its owner', { concurrency: false }, () => {
    let bench: Bench
    before(() => {
      bench = new Bench(lab(), 3)
    })

    it('leaves the owner his Tor and his changes', async () => {
      const { box } = bench
      const files = '/etc/config /etc/crontabs /etc/tor'
      await box.read(`cd / && tar -cf /tmp/owner.tar ${files}`)
      const before = await box.snapshot()
      done(await bench.install('--json'))
      await box.read(`printf '\\nconfig interface guest\\n\\toption proto none\\n' >>/etc/config/network
        uci set firewall.cbtor_ping.limit=9/second && uci add_list firewall.cbtor_zone.network=guest && uci commit firewall
        sed -i 's,^[*] ,*/7 ,' /etc/crontabs/root
        echo '# by the owner' >>/etc/tor/torrc
        echo 'MaxCircuitDirtiness 99' >>/etc/tor/torrc.d/cbtor.conf`)
      const gone = done(await bench.worker(['uninstall', 'tor03']))
      for (const note of [
        '/etc/config/network was changed by others since: only our part was taken out',
        '/etc/config/firewall was changed by others since: only our part was taken out',
        '/etc/tor/torrc.d/cbtor.conf was changed since it was installed; it was taken away all the same',
        '/etc/crontabs/root names /usr/local/bin/tor-health-check.sh still, in a line of somebody else, and that file is gone',
      ])
        assert.ok(gone.out.includes(`note: ${note}\n`), gone.out)
      assert.match(await box.read('cat /etc/config/network'), /\n\nconfig interface guest\n\toption proto none\n$/)
      assert.doesNotMatch(await box.read('uci show'), /cbtor|wgtor/)
      assert.match(await box.read('cat /etc/crontabs/root'), /^\*\/7 /m)
      assert.match(await box.read('cat /etc/tor/torrc'), /# by the owner\n$/)
      const changed = ['/etc/config/network', '/etc/config/firewall', '/etc/crontabs/root', '/etc/tor/torrc']
      assertSame(without(await box.snapshot(), ...changed), without(before, ...changed))
      await eventually(async () => (await box.torPid()) !== undefined)
      await box.read(`rm -rf ${files} && cd / && tar -xf /tmp/owner.tar`)
      assertSame(await box.snapshot(), before)
    })

    it("changes nothing and says how to mend it: a torrc, a WireGuard interface and a zone of somebody else's", async () => {
      const { box } = bench
      const files = '/etc/tor/torrc /etc/config/network /etc/config/firewall'
      await box.read(`cd / && tar -cf /tmp/before.tar ${files}`)
      await box.read(`echo 'SocksPort 192.168.1.1:9100' >>/etc/tor/torrc
        printf "\\nconfig interface 'wg0'\\n\\toption proto 'wireguard'\\n\\toption listen_port '51820'\\n" >>/etc/config/network
        printf "\\nconfig zone\\n\\toption name 'wgtor'\\n\\tlist network 'wg0'\\n" >>/etc/config/firewall`)
      const foreign = await box.snapshot()
      await bench.refused(
        bench.install(),
        /nothing was changed\..*1\. Its torrc has .*torrc line \d+: "SocksPort 192\.168\.1\.1:9100".*2\. It has a wg0 of somebody else.*3\. Its firewall has a zone wgtor/s,
      )
      assertSame(await box.snapshot(), foreign)
      await box.read('cd / && tar -xf /tmp/before.tar')
    })

    it('changes nothing and says how to mend it: a host key that is not the one, and one that has changed', async () => {
      const { box } = bench
      const wrong = `SHA256:${'A'.repeat(43)}`
      const first = await bench.worker(['install', box.address])
      assert.match(
        first.failure ?? '',
        new RegExp(`is ${box.hostKey.replace(/[+/]/g, '.')}, seen for the first time.*--accept-host-key SHA256:`),
      )
      const other = await bench.worker(['install', box.address, '--accept-host-key', wrong])
      assert.match(other.failure ?? '', /the one that you accept is SHA256:A+\. Nothing was sent to it/)
      const questions: string[] = []
      const asked = await bench.worker(['install', box.address], {
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
      await bench.answering()
      const changed = await bench.worker(['check', 'tor01'])
      assert.match(
        changed.failure ?? '',
        /its host key has changed\..*Nothing was sent to it\..*--accept-host-key SHA256:/,
      )
      // As that of a box that was set up anew would be.
      const hostKey = /accept-host-key (SHA256:[\w+/]+)/.exec(changed.failure ?? '')?.[1] ?? ''
      const [former] = bench.boxes()
      const anew = done(await bench.worker(['install', 'tor01', '--accept-host-key', hostKey]))
      assert.ok(anew.out.includes(`in the place of the box whose host key was ${box.hostKey}.`), anew.out)
      assert.match(anew.out, /restart the service/)
      assert.deepEqual(bench.boxes(), [{ ...former, ssh: { ...former?.ssh, hostKey } }])
      await bench.checkedRight('tor01')
      done(await bench.worker(['uninstall', 'tor01']))
      await box.read(`cp -p /tmp/key ${key}`)
      await box.stopDropbear()
      await box.startDropbear()
      await bench.answering()
    })

    it('changes nothing and says how to mend it: a key that the box refuses, also one that was made for it just now', async () => {
      const keyFile = join(bench.lab.directory, 'refused')
      writeFileSync(keyFile, generateKeyPair().privateKey, { mode: 0o600 })
      const refusedKey = await bench.install('--key', keyFile)
      assert.match(
        refusedKey.failure ?? '',
        /refuses the key .*refused\. .*\/etc\/dropbear\/authorized_keys.*\n {2}ssh-keygen -y -f /,
      )
      const missing = await bench.install('--key', join(bench.lab.directory, 'missing'))
      assert.match(missing.failure ?? '', /there is no such file\. Give one with --key, or leave it out/)
    })

    it('changes nothing and says how to mend it: a tunnel that another worker has, and what is no box', async () => {
      const { box } = bench
      const state = join(bench.lab.directory, 'taken')
      const tunnel = { n: 3, privateKey: KEYS.privateKey, listenPort: 51823 }
      writeBoxFile(state, {
        id: 'office',
        ssh: { host: '192.0.2.99', port: 22, user: 'root', hostKey: `SHA256:${'A'.repeat(43)}`, keyFile: '/keys/id' },
        tunnel: {
          ...tunnel,
          boxPublicKey: KEYS.publicKey,
          boxEndpoint: '192.0.2.99:51820',
          hostEndpoint: '192.0.2.2:51823',
        },
        payload: '1',
        packageManager: 'opkg',
      })
      const argv = ['install', box.address, '--accept-host-key', box.hostKey, '--tunnel', '3']
      const taken = await bench.worker(argv, { state })
      assert.match(
        taken.failure ?? '',
        /worker office \(192\.0\.2\.99\) has that number\. Give another one: --tunnel 1/,
      )
      for (const [host, expected] of [
        ['a;reboot', /Cannot use "a;reboot" as a box: .*Right would be root@192\.0\.2\.11:22/],
        ['root@a b', /it holds a blank/],
        ['192.0.2.300', /no IPv4 address/],
      ] as const) {
        assert.match((await bench.worker(['install', host])).failure ?? '', expected)
      }
      const option = await bench.worker(['install', '-oProxyCommand=reboot'])
      assert.match(option.err, /unknown option.*\nA box is given as root@192\.0\.2\.11:22.*never begins with "-"/s)
      const behindDashes = await bench.worker([
        'install',
        '--key',
        '/x',
        '--state',
        bench.state,
        '--',
        '-oProxyCommand=reboot',
      ])
      assert.match(behindDashes.failure ?? '', /Cannot use "-oProxyCommand=reboot" as a box: .*does not begin with "-"/)
    })

    it('makes a key of its own where none is given, and says where it has to go', async () => {
      const { box } = bench
      const state = join(bench.lab.directory, 'fresh')
      const argv = ['install', box.address, '--accept-host-key', box.hostKey]
      const refused = await bench.worker(argv, { state, hasOwnKey: true })
      const line = readFileSync(join(state, 'ssh', 'id_ed25519.pub'), 'utf8').trim()
      assert.ok(refused.failure?.endsWith(`The line: ${line}`), refused.failure)
      await box.read(
        'cp -p /etc/dropbear/authorized_keys /tmp/keys && cat >>/etc/dropbear/authorized_keys',
        `${line}\n`,
      )
      done(await bench.worker(argv, { state, hasOwnKey: true }))
      done(await bench.worker(['uninstall', 'tor01'], { state, hasOwnKey: true }))
      await box.read('cp -p /tmp/keys /etc/dropbear/authorized_keys')
    })

    it('is changed by one gateway at a time', async () => {
      const { box } = bench
      const before = await box.snapshot()
      // One from another address, whose connection is that of dropbear itself.
      await box.read(
        'mkdir -p /var/lock && echo "$(pidof dropbear | tr " " "\\n" | sort -n | head -n 1) 192.0.2.99" >/var/lock/cbtor-install',
      )
      await bench.refused(bench.install(), /another machine, 192\.0\.2\.99, is installing.*Nothing was changed/)
      assertSame(await box.snapshot(), before)
      // One whose connection has ended long since.
      await box.read('echo "4000000 192.0.2.99" >/var/lock/cbtor-install')
      const elsewhere = join(bench.lab.directory, 'elsewhere')
      const argv = ['install', box.address, '--accept-host-key', box.hostKey]
      const both = await Promise.all([bench.worker(argv), bench.worker(argv, { state: elsewhere })])
      const failures = both.flatMap(({ failure }) => failure ?? [])
      assert.ok(failures.length > 0)
      for (const failure of failures)
        assert.match(failure, /began meanwhile|Run the same command again|another gateway/)
      done(await bench.worker(['uninstall', box.address, '--accept-host-key', box.hostKey]))
      assertSame(await box.snapshot(), before)
    })
  })
}
