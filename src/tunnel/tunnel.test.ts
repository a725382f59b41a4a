import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import { FakeHost } from './fake-host.ts'
import { testSpec } from './test-spec.ts'
import { bringUp, lookUp, reconnect } from './tunnel.ts'
import { type TunnelLab, tunnelSuite } from './tunnel-suite.ts'
import { wireguardConfig } from './wireguard-config.ts'

interface FakeLab extends TunnelLab {
  readonly host: FakeHost
  readonly clock: FakeClock
}

tunnelSuite('a made-up machine', createLab)
tunnelSuite('a made-up machine without WireGuard in its kernel', async () => {
  const lab = await createLab()
  lab.host.hasKernelWireguard = false
  return lab
})

async function createLab(): Promise<FakeLab> {
  const clock = new FakeClock(1_800_000_000_000)
  return { host: new FakeHost(clock), clock, spec: testSpec(), stride: 1, async [Symbol.asyncDispose]() {} }
}

describe('a tunnel', () => {
  it('never has a key of ours on a command line', async (t) => {
    const { host, clock, spec } = await createLab()
    await bringUp(spec, { host, clock }, t.signal)
    await reconnect(spec, { host, clock }, t.signal)
    assert.ok(host.changes.some((change) => change === 'wg setconf wg-tor01 /dev/stdin'))
    assert.ok(!host.changes.join('\n').includes(spec.privateKey))
  })

  it('is stale when its last handshake is older than 180 s', async (t) => {
    const { host, clock, spec } = await createLab()
    await reconnect(spec, { host, clock }, t.signal)
    await clock.advance(180_000)
    assert.deepEqual((await lookUp(spec, { host, clock }, t.signal)).problems, [])
    await clock.advance(1_000)
    const { handshakeAgeMs, problems, isUp } = await lookUp(spec, { host, clock }, t.signal)
    assert.deepEqual([handshakeAgeMs, isUp], [181_000, true])
    assert.deepEqual(problems, [
      'Box tor01 has not answered for 181 s; try: cbtor tunnel reconnect tor01, and then: cbtor workers check',
    ])
  })

  it('cannot be reconnected to a box that does not answer', async (t) => {
    const { host, clock, spec } = await createLab()
    host.isAnswered = false
    const failure = assert.rejects(reconnect(spec, { host, clock }, t.signal), {
      fault: 'no-handshake',
      message: /^Cannot reconnect tunnel 1: box tor01 did not answer at 192.0.2.11:51820 \(UDP\) within 12000 ms/,
    })
    await clock.advance(13_000)
    await failure
  })

  it('is known by the name that netifd can give it, too', async (t) => {
    const { host, clock, spec } = await createLab()
    const netifd: readonly (readonly ['ip' | 'wg', string])[] = [
      ['ip', 'link add dev wg_tor01 type wireguard'],
      ['wg', 'setconf wg_tor01 /dev/stdin'],
      ['ip', 'addr replace 10.201.1.2/24 dev wg_tor01'],
      ['ip', 'link set dev wg_tor01 up'],
    ]
    for (const [program, words] of netifd) {
      await host.run({ program, args: words.split(' '), stdin: wireguardConfig(spec) }, t.signal)
    }
    const deeds = await bringUp(spec, { host, clock }, t.signal)
    assert.equal(deeds.at(-1), 'ip -4 route replace default dev wg_tor01 table 20101')
    assert.deepEqual([...host.links.keys()], ['wg_tor01'])
    const { isUp, problems } = await lookUp(spec, { host, clock }, t.signal)
    assert.deepEqual([isUp, problems], [true, []])
  })

  it('says what the program said when a step fails, and by which command', async (t) => {
    const { host, clock, spec } = await createLab()
    host.refuse = (command) =>
      command.includes('rule add') ? 'RTNETLINK answers: Operation not permitted\n' : undefined
    await assert.rejects(bringUp(spec, { host, clock }, t.signal), {
      fault: 'not-permitted',
      message: /^Cannot change tunnel 1: "ip -4 rule add pref 20101 .*": RTNETLINK answers: Operation not permitted$/,
    })
  })
})
