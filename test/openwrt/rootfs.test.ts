/**
 * The stand-in for OpenWrt behaves as the real one is known to. Needs real root, for namespaces and overlayfs, and no network: its own
 * namespaces have none. Up to a minute, as cron runs on the minute.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { PackageManager } from '../../src/testnet/boxes/protocol.ts'
import { boxFiles, buildRootfs, type Rootfs } from '../../src/testnet/boxes/rootfs.ts'
import { BOX_ADDRESS, BoxLab } from './rootfs-lab.ts'

const SOURCES = fileURLToPath(new URL('rootfs', import.meta.url))
const never = new AbortController().signal
const directory = mkdtempSync(join(tmpdir(), 'cbtor-rootfs-test-'))
const clientKey = join(directory, 'client_key')
let rootfs: Rootfs
let boxes = 0

before(async () => {
  rootfs = await buildRootfs({ directory: join(directory, 'layers') }, never)
  execFileSync('dropbearkey', ['-t', 'ed25519', '-f', clientKey])
})
after(() => {
  rmSync(directory, { recursive: true })
})

async function startBox(packageManager: PackageManager, isBare: boolean): Promise<BoxLab> {
  const [authorizedKey = ''] = /^ssh-ed25519 .*/m.exec(`${execFileSync('dropbearkey', ['-y', '-f', clientKey])}`) ?? []
  const files = await boxFiles({ hostName: 'box1', authorizedKey, clientTorrc: ['DisableNetwork 1'], geoip: '' })
  const lower = rootfs.lower({ packageManager, isBare })
  return await BoxLab.start({ directory: join(directory, `box${++boxes}`), lower, feed: rootfs.feed, files })
}

describe('buildRootfs()', () => {
  it('finds what it has built before', async () => {
    assert.deepEqual(
      await buildRootfs({ directory: join(directory, 'layers') }, never).then(({ feed }) => feed),
      rootfs.feed,
    )
    assert.equal(readdirSync(join(directory, 'layers')).length, 1)
  })

  it('leaves nothing half-built when it is given up', async () => {
    const given = join(directory, 'given-up')
    await assert.rejects(buildRootfs({ directory: given }, AbortSignal.timeout(300)))
    assert.deepEqual(readdirSync(given), [])
  })

  it('consists of scripts that shellcheck has nothing against', () => {
    const scripts = readdirSync(SOURCES, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter((file) => /\.sh$|hotplug/.test(file) || readFileSync(file, 'utf8').startsWith('#!'))
    assert.ok(scripts.length > 20)
    // Files that are sourced cannot be found where they lie here.
    const options = ['-s', 'dash', '-S', 'warning', '-e', 'SC1090,SC1091']
    assert.equal(`${execFileSync('shellcheck', [...options, ...scripts])}`, '')
  })
})

describe('a box with tor and WireGuard', () => {
  let box: BoxLab
  before(async () => {
    box = await startBox('opkg', false)
    // Checked at the end: it may take a minute.
    await box.ask(`echo '* * * * * echo "$PATH" >/tmp/from-cron' >/etc/crontabs/root
      /etc/init.d/cron enable && /etc/init.d/cron restart`)
  })
  after(async () => {
    await box?.[Symbol.asyncDispose]()
  })
  const status = async (name: string): Promise<string> => {
    const { stdout, code } = await box.exec(`/etc/init.d/${name} status`)
    return `${stdout.trim()}: ${code}`
  }

  it('has what OpenWrt has, and not what it has not', async () => {
    assert.equal(
      await box.ask('uname -n; cat /proc/1/comm; readlink /var; command -v tor'),
      'box1\ninit\ntmp\n/usr/sbin/tor',
    )
    const absent = 'timeout stat nohup setsid od base64 realpath curl hostname pkill sftp-server apk'
    assert.equal(await box.ask(`for name in ${absent}; do command -v $name; done; ls -d /usr/local 2>/dev/null; :`), '')
    assert.equal((await box.exec('sleep 0.5')).code, 1)
  })

  it('lets in who has the key, with the PATH of OpenWrt', async () => {
    const ssh = `dbclient -y -y -i ${clientKey} root@${BOX_ADDRESS}`
    // A booted box's services may still be starting.
    await box.eventually(async () => (await box.inLab(`${ssh} :`)).code === 0, 5_000)
    assert.equal((await box.inLab(`${ssh} 'echo $PATH' 2>/dev/null`)).stdout.trim(), '/usr/sbin:/usr/bin:/sbin:/bin')
    assert.equal((await box.inLab(`${ssh} 'exit 7'`)).code, 7)
  })

  it('tells by codes how a service is', async () => {
    assert.equal(await status('tor'), 'running: 0')
    assert.equal(await status('firewall'), 'active with no instances: 0')
    assert.equal((await box.exec('/etc/init.d/tor status nosuch')).code, 4)
    await box.ask('/etc/init.d/tor stop')
    assert.equal(await status('tor'), 'inactive: 3')
    assert.equal((await box.exec('/etc/init.d/tor running')).code, 1)
    assert.equal(await box.ask('cat /tmp/torrc'), '%include /etc/tor/torrc')
    await box.ask('/etc/init.d/tor start && /etc/init.d/tor running')
    const { stdout, code } = await box.exec('/etc/init.d/tor nonsense')
    assert.match(stdout, /^Syntax: \/etc\/init\.d\/tor \[command\]/)
    assert.equal(code, 0)
    assert.equal(await box.ask('cd /etc/rc.d; ls *tor'), 'K50tor\nS50tor')
    await box.ask('/etc/init.d/tor disable; ! /etc/init.d/tor enabled; /etc/init.d/tor enable; /etc/init.d/tor enabled')
  })

  it('restarts at once what is alive, and kills after 5 s what is frozen', async () => {
    const first = await box.ask('pidof tor; /etc/init.d/tor restart')
    await box.eventually(async () => !['', first].includes((await box.exec('pidof tor')).stdout.trim()), 4_000)
    const frozen = await box.ask('pidof tor | tee /tmp/frozen; kill -STOP $(pidof tor)')
    const startedAt = performance.now()
    await box.ask('/etc/init.d/tor restart')
    assert.ok(performance.now() - startedAt < 3_000, 'restart returns before the old process is gone')
    assert.equal(await status('tor'), 'running: 0')
    assert.equal(await box.ask('pidof tor'), frozen)
    await box.eventually(async () => !['', frozen].includes((await box.exec('pidof tor')).stdout.trim()), 10_000)
    assert.ok(performance.now() - startedAt > 4_500)
  })

  it('starts again what dies, and gives up at the sixth time', async () => {
    // As on a box, where that is how the 5 s between two starts are changed.
    await box.ask('uci add system service; uci set system.@service[0].respawn_timeout=1; uci commit system')
    let former = await box.ask('pidof tor; /etc/init.d/tor restart')
    for (let crash = 1; crash <= 6; crash++) {
      await box.eventually(async () => !['', former].includes((await box.exec('pidof tor')).stdout.trim()), 5_000)
      former = await box.ask('pidof tor | tee /tmp/killed; kill -9 $(pidof tor)')
      await box.eventually(async () => (await status('tor')) === 'not running: 5', 2_000)
    }
    await box.eventually(async () => (await box.ask('logread -e procd')).includes('s in a crash loop 6 crashes'), 3_000)
    assert.equal(await status('tor'), 'not running: 5')
    await box.ask('/etc/init.d/tor start')
    await box.eventually(async () => (await status('tor')) === 'running: 0', 5_000)
    assert.notEqual(await box.ask('pidof tor'), '')
  })

  it('changes its configuration by uci as the real one does', async () => {
    assert.equal(
      await box.ask(`touch /etc/config/test
        uci batch <<'END'
set test.a=thing
set test.a.text='it is "so"'
add_list test.a.list='one'
add_list test.a.list='two words'
END
        made=$(uci add test item); uci set test.$made.name="it's"; uci set test.@item[-1].size=3
        uci show test; echo; cat /etc/config/test; uci changes test | wc -l; uci commit test; uci changes test; cat /etc/config/test`),
      `test.a=thing
test.a.text='it is "so"'
test.a.list='one' 'two words'
test.@item[0]=item
test.@item[0].name='it'\\''s'
test.@item[0].size='3'

7

config thing 'a'
	option text 'it is "so"'
	list list 'one'
	list list 'two words'

config item
	option name 'it'\\''s'
	option size '3'`,
    )
    assert.equal(
      await box.ask(`uci del_list test.a.list=one; uci -q delete test.a.text; uci get test.a.list; uci get test.@item[0].name
        uci revert test; uci get test.a.list; uci export test | uci import copy; diff=$(cmp /etc/config/test /etc/config/copy); echo "$diff"`),
      "two words\nit's\none two words",
    )
    const missing = await box.exec('uci get test.b.c')
    assert.deepEqual([missing.code, missing.stderr], [1, 'uci: Entry not found\n'])
    assert.deepEqual(await box.exec('uci -q get nowhere.b.c'), { code: 1, stdout: '', stderr: '' })
    assert.equal((await box.exec('uci set test.nosuch.option=1')).code, 1)
    const written = await box
      .ask(`uci set firewall.@defaults[0].syn_flood=1; uci commit firewall
      grep -c '#' /etc/config/firewall; rm /etc/config/test /etc/config/copy; uci -q show firewall.@zone[1].name`)
      .catch(String)
    assert.match(written, /^0\n.*firewall\.@zone\[1\]\.name='wan'$/s)
  })

  it('brings up the tunnel and its zone from UCI', async () => {
    await box.ask(`uci batch <<'END'
set network.wg0=interface
set network.wg0.proto='wireguard'
set network.wg0.private_key='yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk='
set network.wg0.listen_port='51820'
set network.wg0.mtu='1420'
add_list network.wg0.addresses='10.201.1.1/24'
set network.host=wireguard_wg0
set network.host.public_key='xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='
set network.host.endpoint_host='${BOX_ADDRESS}'
set network.host.endpoint_port='51821'
set network.host.persistent_keepalive='25'
add_list network.host.allowed_ips='10.201.1.0/24'
set firewall.wgtor=zone
set firewall.wgtor.name='wgtor'
add_list firewall.wgtor.network='wg0'
set firewall.wgtor.input='REJECT'
set firewall.wgtor.output='ACCEPT'
set firewall.wgtor.forward='REJECT'
set firewall.trans=redirect
set firewall.trans.name='trans'
set firewall.trans.src='wgtor'
set firewall.trans.family='ipv4'
set firewall.trans.proto='tcp'
set firewall.trans.src_dip='!10.201.0.0/16'
set firewall.trans.dest_port='9040'
set firewall.trans.target='DNAT'
set firewall.socks=rule
set firewall.socks.name='socks'
set firewall.socks.src='wgtor'
set firewall.socks.proto='tcp'
set firewall.socks.dest_port='9050'
set firewall.socks.target='ACCEPT'
commit
END
      echo 'echo "$ACTION $INTERFACE $DEVICE" >>/tmp/hotplug' >/etc/hotplug.d/iface/99-test
      printf 'chain of_ours {\\n\\ttype filter hook forward priority filter - 5; policy accept;\\n\\tiifname "wg0" counter drop\\n}\\n' \\
        >/etc/nftables.d/20-ours.nft
      ifup wg0`)
    const isUp = async () => (await box.exec('ubus call network.interface.wg0 status')).stdout.includes('"up": true')
    await box.eventually(isUp, 5_000)
    await box.eventually(
      async () => (await box.exec('nft list chain inet fw4 input')).stdout.includes('input_wgtor'),
      5_000,
    )
    assert.match(await box.ask('cat /tmp/hotplug'), /^ifup wg0 wg0$/m)
    assert.match(await box.ask('ip addr show wg0'), /mtu 1420 [\s\S]*inet 10\.201\.1\.1\/24/)
    assert.match(
      await box.ask('wg show wg0'),
      /listening port: 51820[\s\S]*endpoint: 192\.0\.2\.11:51821[\s\S]*every 25 seconds/,
    )
    const table = await box.ask('nft add rule inet fw4 input_wgtor drop; fw4 reload; nft list table inet fw4')
    const [, inputZone] = /chain input_wgtor \{\n([^}]*)/.exec(table) ?? []
    assert.equal(
      inputZone
        ?.replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
        .replaceAll(/^\s+/gm, '')
        .trim(),
      `tcp dport 9050 counter accept comment "!fw4: socks"
ct status dnat accept comment "!fw4: Accept port redirections"
jump reject_from_wgtor`,
    )
    assert.match(
      table,
      /ip daddr != 10\.201\.0\.0\/16 meta l4proto (?:tcp|6) counter packets 0 bytes 0 redirect to :9040/,
    )
    assert.match(table, /chain of_ours \{\n\s+type filter hook forward priority filter - 5; policy accept;/)
    await box.ask('ifdown wg0')
    await box.eventually(async () => !(await isUp()) && (await box.exec('ip link show wg0')).code !== 0, 5_000)
    const wrong = await box.ask(
      'uci set firewall.socks.src=nowhere; uci commit firewall; fw4 check 2>&1; uci set firewall.socks.src=wgtor; uci commit firewall',
    )
    assert.match(wrong, /references unknown zone 'nowhere', ignoring section\nRuleset passes nftables check/)
  })

  it('runs cron jobs on the minute', async () => {
    await box.eventually(async () => (await box.exec('cat /tmp/from-cron')).stdout !== '', 63_000)
    assert.equal(await box.ask('cat /tmp/from-cron'), '/usr/sbin:/usr/bin:/sbin:/bin')
  })

  it('reboots in order, and keeps what is on its flash', async () => {
    await box.ask(`printf '#!/bin/sh /etc/rc.common\\nSTOP=01\\nstop() {\\n\\tdate >/etc/stopped\\n}\\n' >/etc/init.d/last
      chmod 755 /etc/init.d/last; /etc/init.d/last enable; echo here >/tmp/gone; echo here >/etc/kept; reboot`)
    await box.waitUp(1)
    assert.deepEqual(await box.ends(), ['0'])
    assert.equal(
      await box.ask('cat /etc/kept; ls /tmp/gone 2>/dev/null; [ -s /etc/stopped ] && echo stopped'),
      'here\nstopped',
    )
    await box.eventually(async () => (await box.exec('wg show wg0')).code === 0, 5_000)
    assert.equal(await status('tor'), 'running: 0')
    assert.equal(await status('cron'), 'running: 0')
    // Orphans that ended are nobody's but init's.
    await box.eventually(async () => (await box.exec('grep -l "^State:.Z" /proc/[0-9]*/status')).code === 1, 3_000)
  })
})

for (const [manager, words] of [
  [
    'opkg',
    {
      add: 'install',
      remove: 'remove --autoremove',
      failed: /wget returned 4\.\n \* opkg_download: Check your network/,
    },
  ],
  ['apk', { add: 'add', remove: 'del', failed: /ERROR: wget: exited with error 4/ }],
] as const) {
  describe(`a bare box with ${manager}`, () => {
    let box: BoxLab
    before(async () => {
      box = await startBox(manager, true)
    })
    after(async () => {
      await box?.[Symbol.asyncDispose]()
    })
    // Each file with its mode and content, each directory and link; without what a boot makes anew.
    const flash = async (): Promise<string> =>
      await box.ask(`cd /; find . -xdev ! -path './tmp*' ! -path './dev*' ! -path './proc*' | sort | while read -r file; do
        sum=; [ -L "$file" ] || [ ! -f "$file" ] || sum=$(sha256sum <"$file"); echo "$(ls -ld "$file" | cut -c1-10) $file $sum"; done`)

    it('starts no cron without a crontab, and knows nothing of tor', async () => {
      const { stdout, code } = await box.exec(
        '/etc/init.d/cron start; echo $?; /etc/init.d/cron status; command -v tor wg curl',
      )
      assert.equal(stdout, '1\ninactive\n')
      assert.notEqual(code, 0)
    })

    it('installs packages, and removes them without a trace but the user', async () => {
      const before = await flash()
      assert.match(await box.ask(`${manager} update && ${manager} ${words.add} tor wireguard-tools curl`), /tor/)
      assert.equal(
        await box.ask('/etc/init.d/tor status; grep -c ^tor: /etc/passwd; cd /etc/rc.d; ls S*tor'),
        'running\n1\nS50tor',
      )
      assert.match(await box.ask('curl --version; wg --version'), /^curl \d[\s\S]*wireguard-tools v/)
      assert.equal(await box.ask("ps w | grep '[/]usr/sbin/tor' | cut -c7-10"), 'tor')
      await box.ask(`${manager} ${words.remove} tor wireguard-tools curl; ! pidof tor && ! command -v tor`)
      // So it is on a real box, too.
      await box.ask("sed -i '/^tor:/d' /etc/passwd /etc/group /etc/shadow; chmod 600 /etc/shadow")
      assert.equal(await flash(), before)
    })

    it('keeps a conffile that was changed', async () => {
      await box.ask(
        `${manager} ${words.add} tor && echo '# mine' >>/etc/tor/torrc && ${manager} ${words.remove} tor && grep -c mine /etc/tor/torrc`,
      )
      await box.ask(
        `${manager} ${words.add} tor && grep mine /etc/tor/torrc && ${manager} ${words.remove} tor; rm -f /etc/tor/torrc*`,
      )
    })

    it('knows a protocol only from the next start of netifd on', async () => {
      await box.ask(`${manager} ${words.add} wireguard-tools; uci set network.wg0=interface; uci set network.wg0.proto=wireguard
        uci set network.wg0.private_key="$(wg genkey)"; uci commit network; ifup wg0`)
      await box.eventually(
        async () => (await box.exec('ubus call network.interface.wg0 status')).stdout.includes('INVALID_PROTO'),
        5_000,
      )
      await box.ask('/etc/init.d/network restart')
      await box.eventually(async () => (await box.exec('wg show wg0')).code === 0, 5_000)
    })

    it('fails in the words of the real one without network or space', async () => {
      const full = await box.exec(
        `rm -rf /fill; head -c 60000000 /dev/zero >/fill 2>/dev/null; ${manager} ${words.add} tor; code=$?; rm /fill; exit $code`,
      )
      assert.notEqual(full.code, 0)
      assert.match(full.stderr, /Only have \d+kb available on filesystem|Not enough space/)
      await box.ask('ip route del default')
      const cut = await box.exec(`${manager} update`)
      assert.equal(cut.code, 1)
      assert.match(cut.stderr, words.failed)
      const unknown = await box.exec(`rm -rf /var/opkg-lists /var/cache/apk; ${manager} ${words.add} tor`)
      assert.notEqual(unknown.code, 0)
      assert.match(unknown.stdout + unknown.stderr, /Unknown package 'tor'|tor \(no such package\)/)
      assert.equal((await box.exec('command -v tor')).code, 127)
    })
  })
}
