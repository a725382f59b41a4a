import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readBoxes } from '../box-file.ts'
import type { FakeBox } from './fake-box.ts'
import { lab } from './test-lab.ts'

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
