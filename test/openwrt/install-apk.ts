import assert from 'node:assert/strict'

import { before, describe, it } from 'node:test'
import { assertSame, Bench, done, type InstallLab } from './install-lab.ts'

/** CRLF, tabs, quotes of all kinds, anonymous sections, a value over two lines; a crontab without an end; no sysupgrade.conf. */
const ODD_FILES = `
printf "\\nconfig\\trule # mine\\r\\n\\toption 'name' \\"a rule\\"\\r\\n\\toption src wan\\r\\n\\tlist proto icmp\\r\\n\\toption target ACCEPT\\r\\n" >>/etc/config/firewall
printf "\\n\\nconfig interface 'odd'\\n\\toption proto 'none'\\n\\toption note 'two\\nconfig interface wg0'" >>/etc/config/network
printf '5 5 * * * true' >/etc/crontabs/root
chmod 0400 /etc/crontabs/root /etc/config/firewall
rm -f /etc/sysupgrade.conf
`

/** What a box with the newer package manager and files in odd shapes meets. */
export function apkBox(lab: () => InstallLab): void {
  describe('on a bare box with apk', { concurrency: false }, () => {
    let bench: Bench
    before(() => {
      bench = new Bench(lab(), 2)
    })

    it('makes a worker of a box with odd files, even when its plug is pulled in the middle', async () => {
      const { box } = bench
      await box.read(ODD_FILES)
      const bare = await box.snapshot()
      let isPulled: Promise<void> | undefined
      const cut = await bench.worker(['install', box.address, '--accept-host-key', box.hostKey, '--tunnel', '2'], {
        onStep: (name) => {
          if (name === 'network') isPulled = box.powerOff()
        },
      })
      assert.match(
        cut.failure ?? '',
        /step "[\w ]+" failed.*Run the same command again to go on, or take it back: cbtor workers uninstall/,
      )
      await isPulled
      assert.deepEqual(bench.boxes(), [])
      await box.powerOn()
      await box.waitUp()
      await bench.answering()
      done(await bench.install('--host-endpoint', '[2001:db8::2]:51999'))
      await bench.checkedRight('tor02')
      assert.equal((await box.read('uci get network.cbtor_peer.endpoint_host')).trim(), '2001:db8::2')
      assert.match(
        await box.read('cat /etc/crontabs/root'),
        /^5 5 \* \* \* true\n\* \* \* \* \* \/usr\/local\/bin\/tor-health-check\.sh .*\n$/,
      )
      done(await bench.worker(['uninstall', 'tor02']))
      assertSame(await box.snapshot(), bare)
    })

    it('goes on after a connection that was lost', async () => {
      await bench.loseConnection('firewall', { isCompleted: true })
    })

    it('takes back what there is after a connection that was lost while services were started', async () => {
      await bench.loseConnection('services', { isCompleted: false })
    })

    it('says that its package feed cannot be reached', async () => {
      const { box } = bench
      await box.blockFeed()
      await bench.refused(bench.install(), /cannot reach its package feed.*`apk update`/s)
      await box.unblockFeed()
    })
  })
}
