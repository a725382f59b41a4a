import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { BoxFile } from '../boxes/box-file.ts'
import { parseConfig } from '../config/read-config.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { type Attempt, probeEgress } from './probe.ts'
import { egressRules, type LockSubject } from './rules.ts'
import { waysOut } from './ways.ts'

const UNIT: LockSubject = { by: 'cgroup', path: 'system.slice/cbtor.service' }
const USER: LockSubject = { by: 'user', user: 'cbtor' }

describe('egressRules()', () => {
  it('writes what lies in deploy/ when there is nowhere to go but this machine and tunnels', () => {
    const file = readFileSync(new URL('../../deploy/cbtor-egress.nft', import.meta.url), 'utf8')
    assert.equal(egressRules({ subject: UNIT, ways: [], hasRemoteClients: false }), file)
  })

  it('leaves Tor alone before it locks the group that Tor is in', () => {
    const rules = egressRules({ subject: UNIT, ways: [], hasRemoteClients: false })
    const [tor = '', unit = ''] = rules.split('\n').filter((line) => line.includes('socket cgroupv2'))
    assert.match(tor, /level 3 "system\.slice\/cbtor\.service\/tor" accept/)
    assert.match(unit, /level 2 "system\.slice\/cbtor\.service" goto locked/)
  })

  it('opens each way for its address, protocol and port, and answers to clients only where there are some', () => {
    const ways = [
      { why: 'SSH of tor01', address: '192.0.2.11', protocol: 'tcp', port: 22 },
      { why: 'SOCKS of tor02', address: '2001:db8::2', protocol: 'tcp', port: 9050 },
    ] as const
    const rules = egressRules({ subject: USER, ways, hasRemoteClients: true })
    assert.match(rules, /meta skuid "cbtor" goto locked/)
    assert.match(rules, /ip daddr 192\.0\.2\.11 tcp dport 22 accept comment "SSH of tor01"/)
    assert.match(rules, /ip6 daddr 2001:db8::2 tcp dport 9050 accept/)
    assert.match(rules, /ct direction reply accept/)
    assert.doesNotMatch(egressRules({ subject: USER, ways, hasRemoteClients: false }), /ct direction/)
  })

  it('takes no name that would be more than a name', () => {
    for (const user of ['a" accept', 'a\nb', ''])
      assert.throws(() => egressRules({ subject: { by: 'user', user }, ways: [], hasRemoteClients: false }), RangeError)
  })
})

describe('waysOut()', () => {
  const workers = (...list: readonly unknown[]) => parseConfig({ state: '/nowhere', workers: list }, {})

  it('goes to boxes by SSH and WireGuard, and to Tors of others that are elsewhere', () => {
    const config = workers(
      { kind: 'openwrt', id: 'tor01' },
      { kind: 'external', id: 'tor02', socks: '192.0.2.5:9050' },
      { kind: 'external', id: 'tor03', socks: '127.0.0.1:9050' },
      { kind: 'external', id: 'tor04', socks: 'unix:/run/tor/socks' },
    )
    const { ways, conflicts } = waysOut(config, [box('tor01', '192.0.2.11', '192.0.2.11:51820')], USER)
    assert.deepEqual(
      ways.map(({ why, address, protocol, port }) => `${why}: ${address} ${protocol} ${port}`),
      [
        'SSH of tor01: 192.0.2.11 tcp 22',
        'WireGuard of tor01: 192.0.2.11 udp 51820',
        'SOCKS of tor02: 192.0.2.5 tcp 9050',
      ],
    )
    assert.deepEqual(conflicts, [])
  })

  it('goes to the receivers of webhooks that the operator has listed, and to nobody for those that are on this machine', () => {
    const jobs = { webhook_allow: ['127.0.0.1:9000', '10.1.0.0/16:9001', '[fd00::/8]:9002', '[::1]:9003'] }
    const { ways } = waysOut(parseConfig({ state: '/nowhere', jobs }, {}), [], UNIT)
    const rules = egressRules({ subject: UNIT, ways, hasRemoteClients: false })
    assert.deepEqual(
      rules.split('\n').flatMap((line) => (line.includes('webhooks') ? line.trim() : [])),
      [
        'ip daddr 10.1.0.0/16 tcp dport 9001 accept comment "webhooks"',
        'ip6 daddr fd00::/8 tcp dport 9002 accept comment "webhooks"',
      ],
    )
    assert.deepEqual(waysOut(parseConfig({ state: '/nowhere' }, {}), [], UNIT).ways, [])
  })

  it('goes to the shared store and to the worker ports of other replicas', () => {
    const waysOf = (store: string) => {
      const config = parseConfig({ state: '/nowhere', store, cluster: { peers: ['10.0.0.0/24:32212'] } }, {})
      return waysOut(config, [], UNIT).ways.map(({ why, address, port }) => `${why}: ${address} ${port}`)
    }
    const peers = 'workers of other replicas: 10.0.0.0/24 32212'
    assert.deepEqual(waysOf('redis://10.0.1.5:6380'), ['the shared store: 10.0.1.5 6380', peers])
    for (const here of ['embedded', 'redis://127.0.0.1', 'redis+unix:///run/valkey.sock'])
      assert.deepEqual(waysOf(here), [peers])
  })

  it('says what the lock would break: boxes that are known by a name, local Tors of the same user', () => {
    const boxes = [box('tor01', 'box.example', 'box.example:51820')]
    const { ways, conflicts } = waysOut(
      workers({ kind: 'openwrt', id: 'tor01' }, { kind: 'local', id: 'tor02' }),
      boxes,
      USER,
    )
    assert.deepEqual(ways, [])
    assert.equal(conflicts.length, 3)
    assert.match(conflicts.join('\n'), /SSH of tor01 is at "box\.example".*another user/s)
    assert.deepEqual(waysOut(workers({ kind: 'local', id: 'tor02' }), [], UNIT).conflicts, [])
  })
})

describe('probeEgress()', () => {
  const found = async (outcomes: Readonly<Record<string, Attempt>>, resolvers = '') => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-egress-'))
    try {
      const resolvConf = join(directory, 'resolv.conf')
      writeFileSync(resolvConf, resolvers)
      const send = async (address: string) => outcomes[address] ?? 'no-route'
      return await probeEgress({ clock: new FakeClock(), send, resolvConf, resolverSockets: [] })
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  it('is locked when everything that has a way is refused', async () => {
    const outcomes = { '192.0.2.1': 'refused', '127.0.0.53': 'refused' } as const
    assert.deepEqual(await found(outcomes, 'nameserver 127.0.0.53\n'), { state: 'locked', holes: [] })
  })

  it('is open by one family, or by a resolver on this machine, alone', async () => {
    assert.equal((await found({ '192.0.2.1': 'refused', '2001:db8::1': 'sent' })).state, 'open')
    const { state, holes } = await found({ '192.0.2.1': 'refused', '127.0.0.53': 'sent' }, 'nameserver 127.0.0.53\n')
    assert.equal(state, 'open')
    assert.deepEqual(holes, ['The resolver 127.0.0.53 can be asked'])
  })

  it('is not known without a network', async () => {
    assert.equal((await found({})).state, 'unknown')
  })
})

function box(id: string, host: string, boxEndpoint: string): BoxFile {
  return {
    id,
    ssh: { host, port: 22, user: 'root', hostKey: 'SHA256:x', keyFile: '/k' },
    tunnel: { n: 1, privateKey: '', listenPort: 51821, boxPublicKey: '', boxEndpoint, hostEndpoint: '' },
    payload: '1',
    packageManager: 'opkg',
  }
}
