import assert from 'node:assert/strict'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readBoxes } from '../box-file.ts'
import { findSection } from '../uci-text.ts'
import { wireguardPublicKey } from '../wireguard-keys.ts'
import { lab, linesOf, PAYLOAD } from './test-lab.ts'

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
