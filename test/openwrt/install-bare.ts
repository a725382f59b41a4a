import assert from 'node:assert/strict'
import { appendFileSync, cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { assertSame, Bench, done, type InstallLab } from './install-lab.ts'

const PAYLOAD = join(import.meta.dirname, '..', '..', 'openwrt')

/** What a box without Tor and WireGuard meets. */
export function bareBox(lab: () => InstallLab): void {
  describe('on a bare box with opkg', { concurrency: false }, () => {
    let bench: Bench
    before(() => {
      bench = new Bench(lab(), 1)
    })

    it('makes a worker of a bare box within a minute, keeps it one, and leaves it as it was', async () => {
      const { box } = bench
      const bare = await box.snapshot()

      const dry = done(await bench.install('--dry-run'))
      assert.match(dry.out, /^ {2}\+ package tor \(opkg\)/m)
      assert.match(dry.out, /^ {2}uci set network\.wg0\.proto='wireguard'$/m)
      assert.match(dry.out, /Nothing was changed: this was a dry run of root@192\.0\.2\.11:22 as tor01, tunnel 1\./)
      assertSame(await box.snapshot(), bare)
      assert.deepEqual(bench.boxes(), [])

      const older = join(bench.lab.directory, 'older')
      cpSync(PAYLOAD, older, { recursive: true })
      writeFileSync(join(older, 'VERSION'), '0.9.0\n')
      writeFileSync(join(older, 'crontab'), '*/2 * * * * /usr/local/bin/tor-health-check.sh\n')
      appendFileSync(join(older, 'manifest'), '0755 old-script.sh /usr/local/bin/old-script.sh\n')
      writeFileSync(join(older, 'old-script.sh'), '#!/bin/sh\n')
      appendFileSync(join(older, 'hotplug.d/99-cbtor'), '# older\n')
      const began = performance.now()
      const argv = ['install', box.address, '--accept-host-key', box.hostKey]
      const first = done(await bench.worker(argv, { payloadDirectory: older }))
      assert.ok(performance.now() - began < 60_000)
      assert.match(first.out, /cbtor tunnel up tor01\n/)
      assert.match(first.out, /- kind: openwrt\n +id: tor01\n/)

      // Its own network alone: other parts of 10.201.0.0/16 may be the LAN.
      const lock = await box.read('nft list chain inet cbtor postrouting')
      assert.deepEqual(lock.match(/10\.201\.\S+/g), ['10.201.1.0/24', '10.201.1.0/24'])
      // As the lock of version 1.1 was.
      await box.read('nft flush chain inet cbtor postrouting && nft delete chain inet cbtor postrouting')
      const outdated = await bench.worker(['check', 'tor01'])
      assert.match(outdated.out, /^WRONG +version +0\.9\.0\+\w+, and this CBTOR has \d/m)
      assert.match(outdated.failure ?? '', /wrong on tor01: .*version.*lock/)
      const upgraded = done(await bench.worker(['upgrade', 'tor01']))
      assert.match(upgraded.out, /^ {2}~ \/etc\/hotplug\.d\/iface\/99-cbtor /m)
      assert.match(upgraded.out, /^ {2}~ \/etc\/cbtor\/version \(6 B -> 6 B\)$/m)
      assert.match(upgraded.out, /^ {2}- \/etc\/crontabs\/root: \*\/2 \* \* \* \* /m)
      assert.match(upgraded.out, /^ {2}- \/usr\/local\/bin\/old-script\.sh \(of an earlier version\)$/m)
      assert.doesNotMatch(upgraded.out, /network\.wg0|package/)
      assert.notEqual((await box.exec('test -e /usr/local/bin/old-script.sh')).code, 0)
      assert.doesNotMatch(await box.read('cat /etc/crontabs/root'), /\*\/2/)
      await bench.checkedRight('tor01')

      const installed = await box.snapshot()
      const again = done(await bench.worker(['install', 'tor01']))
      assert.match(again.out, /^root@192\.0\.2\.11:22 is tor01, tunnel 1\. Nothing had to be changed\.$/m)
      assertSame(await box.snapshot(), installed)

      await box.reboot()
      await bench.answering()
      await bench.checkedRight('tor01')

      done(await bench.worker(['uninstall', 'tor01']))
      assertSame(await box.snapshot(), bare)
      assert.deepEqual(bench.boxes(), [])
      assert.equal(await box.torPid(), undefined)
      assert.notEqual((await box.exec('test -e /sys/class/net/wg0')).code, 0)
      assert.match(
        (await bench.worker(['check', box.address, '--accept-host-key', box.hostKey])).failure ?? '',
        /Install it first/,
      )
    })

    it('upgrades no box that is no worker', async () => {
      const { box } = bench
      const refused = await bench.worker(['upgrade', box.address, '--accept-host-key', box.hostKey])
      assert.match(refused.failure ?? '', /it is no worker\. Install it: cbtor workers install root@192\.0\.2\.11:22/)
    })

    it('takes back what there is after a connection that was lost while packages were installed', async () => {
      await bench.loseConnection('packages', { isCompleted: false })
    })

    it('changes nothing and says how to mend it: a package feed that cannot be reached', async () => {
      const { box } = bench
      const bare = await box.snapshot()
      await box.blockFeed()
      await bench.refused(
        bench.install(),
        /Cannot install root@192\.0\.2\.11:22: the step "packages" failed\. .*cannot reach its package feed.*`opkg update`.*taken back/s,
      )
      await box.unblockFeed()
      assertSame(await box.snapshot(), bare)
    })

    it('changes nothing and says how to mend it: no space, at once or in the middle', async () => {
      const { box } = bench
      const bare = await box.snapshot()
      await box.fillFlash()
      await bench.refused(bench.install(), /nothing was changed\. There is no space: .*extroot/)
      await box.freeFlash()
      assertSame(await box.snapshot(), bare)
      // Enough for what packages take on a real box, too little for those of this one.
      await box.read(
        'dd if=/dev/zero of=/root/.filler bs=1024 count=$(($(df -k /etc | awk "END { print \\$(NF-2) }") - 11000)) 2>/dev/null',
      )
      await bench.refused(bench.install(), /no space is left on the box.*taken back/s)
      await box.freeFlash()
      assertSame(await box.snapshot(), bare)
    })
  })
}
