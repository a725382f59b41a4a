import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Observed } from './observed.ts'
import { planDown, planUp, type Step } from './plan.ts'
import { testSpec } from './test-spec.ts'

const spec = testSpec()

const NOTHING: Observed = {
  link: undefined,
  wireguard: undefined,
  defaultRoute: false,
  killSwitch: false,
  rule: false,
  identityRanges: [],
  lock: false,
  strangers: [],
}

const ALL: Observed = {
  link: { isUp: true, mtu: 1420, alias: 'cbtor tor01', kind: 'tun', addresses: ['10.201.1.2/24'] },
  wireguard: {
    privateKey: spec.privateKey,
    listenPort: spec.listenPort,
    peers: [
      {
        publicKey: spec.boxPublicKey,
        endpoint: spec.boxEndpoint,
        allowedIps: '0.0.0.0/0',
        latestHandshake: 0,
        rxBytes: 0,
        txBytes: 0,
        keepalive: '25',
      },
    ],
  },
  defaultRoute: true,
  killSwitch: true,
  rule: true,
  identityRanges: spec.identityRanges,
  lock: true,
  strangers: [],
}

const REMAKE = [
  'make-interface',
  'ip link set dev wg-tor01 alias cbtor tor01',
  'wg setconf wg-tor01 /dev/stdin',
  'ip -4 addr replace 10.201.1.2/24 dev wg-tor01',
  'ip link set dev wg-tor01 mtu 1420 up',
]

describe('planUp()', () => {
  it('makes what keeps packets in, then the interface, then the ways into it', () => {
    assert.deepEqual(lines(planUp(spec, NOTHING, 'none')), [
      'nft table inet cbtor_tor01',
      'ip -4 route replace unreachable default metric 4278198272 table 20101',
      'ip -4 rule add pref 20101 from 10.201.1.0/24 lookup 20101',
      ...REMAKE,
      'ip -4 route replace local 10.201.1.16/28 dev lo table local',
      'ip -4 route replace local 10.201.1.32/27 dev lo table local',
      'ip -4 route replace local 10.201.1.64/26 dev lo table local',
      'ip -4 route replace local 10.201.1.128/25 dev lo table local',
      'ip -4 route replace default dev wg-tor01 table 20101',
    ])
  })

  it('does nothing when nothing is missing', () => {
    assert.deepEqual(planUp(spec, ALL, 'ours'), [])
    assert.deepEqual(planUp(spec, ALL, 'handed-over'), [])
  })

  it('takes up again the route that a link lost when it was down', () => {
    const link = { ...ALL.link!, isUp: false }
    assert.deepEqual(lines(planUp(spec, { ...ALL, link, defaultRoute: false }, 'ours')), [
      'ip link set dev wg-tor01 mtu 1420 up',
      'ip -4 route replace default dev wg-tor01 table 20101',
    ])
  })

  it('makes an interface anew that nothing answers for', () => {
    assert.deepEqual(lines(planUp(spec, { ...ALL, wireguard: undefined }, 'ours')), [
      'ip link del dev wg-tor01',
      'end-wireguard',
      ...REMAKE,
      'ip -4 route replace default dev wg-tor01 table 20101',
    ])
  })

  it('configures an interface that has other keys, ports or peers', () => {
    const peer = ALL.wireguard!.peers[0]!
    const others = [
      { ...ALL.wireguard!, privateKey: 'other' },
      { ...ALL.wireguard!, listenPort: 1 },
      { ...ALL.wireguard!, peers: [] },
      { ...ALL.wireguard!, peers: [peer, peer] },
      { ...ALL.wireguard!, peers: [{ ...peer, allowedIps: '10.0.0.0/8' }] },
      { ...ALL.wireguard!, peers: [{ ...peer, keepalive: 'off' }] },
    ]
    for (const wireguard of others) {
      assert.deepEqual(lines(planUp(spec, { ...ALL, wireguard }, 'ours')), ['wg setconf wg-tor01 /dev/stdin'])
    }
    const moved = { ...ALL.wireguard!, peers: [{ ...peer, endpoint: '192.0.2.99:7' }] }
    assert.deepEqual(planUp(spec, { ...ALL, wireguard: moved }, 'ours'), [], 'a box may move')
  })

  it('leaves an interface that another tool made as it is', () => {
    const handed = { ...ALL, link: { ...ALL.link!, alias: undefined, mtu: 1280 }, lock: false, rule: false }
    assert.deepEqual(lines(planUp(spec, handed, 'handed-over')), [
      'nft table inet cbtor_tor01',
      'ip -4 rule add pref 20101 from 10.201.1.0/24 lookup 20101',
    ])
  })

  it('has a key of ours in nothing but what WireGuard reads from its standard input', () => {
    const all = planUp(spec, NOTHING, 'none')
    assert.ok(!lines(all).join('\n').includes(spec.privateKey))
    assert.match(
      JSON.stringify(all.flatMap((step) => (step.type === 'run' ? [step.command.stdin] : []))),
      /PrivateKey = QCXB/,
    )
  })
})

describe('planDown()', () => {
  it('takes down in the reverse order, what keeps packets in last', () => {
    assert.deepEqual(lines(planDown(spec, ALL)), [
      'ip -4 route del default dev wg-tor01 table 20101',
      'ip -4 route del local 10.201.1.16/28 table local',
      'ip -4 route del local 10.201.1.32/27 table local',
      'ip -4 route del local 10.201.1.64/26 table local',
      'ip -4 route del local 10.201.1.128/25 table local',
      'ip link del dev wg-tor01',
      'end-wireguard',
      'ip -4 rule del pref 20101 from 10.201.1.0/24 lookup 20101',
      'ip -4 route del unreachable default metric 4278198272 table 20101',
      'nft table inet cbtor_tor01',
    ])
  })

  it('takes away what there is of it', () => {
    assert.deepEqual(lines(planDown(spec, { ...NOTHING, killSwitch: true })), [
      'ip -4 route del unreachable default metric 4278198272 table 20101',
      'nft table inet cbtor_tor01',
    ])
  })
})

/** Command lines; of a ruleset, its first line. */
function lines(steps: readonly Step[]): readonly string[] {
  return steps.map((step) =>
    step.type === 'run' ? ([step.command.program, ...step.command.args].join(' ').split('\n')[0] ?? '') : step.type,
  )
}
