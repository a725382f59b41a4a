import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readBoxes, writeBoxFile } from '../box-file.ts'
import { findSection } from '../uci-text.ts'
import { wireguardPublicKey } from '../wireguard-keys.ts'
import { HOST_KEY, lab } from './test-lab.ts'

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
      /it is worker tor01 of another gateway.*cbtor workers uninstall root@192\.0\.2\.11/,
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
