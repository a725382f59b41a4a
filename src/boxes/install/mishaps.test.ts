import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readBoxes } from '../box-file.ts'
import { lab, PAYLOAD } from './test-lab.ts'

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
