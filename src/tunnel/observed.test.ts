import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CommandOutput, Host } from './host.ts'
import { observe } from './observed.ts'
import { ownershipOf } from './ownership.ts'
import { testSpec } from './test-spec.ts'

const spec = testSpec()
const NOTHING: Readonly<Record<string, CommandOutput>> = {
  'ip addr': failed('Device "wg-tor01" does not exist.'),
  'ip table 20101': failed('Error: ipv4: FIB table does not exist.\nDump terminated'),
  'ip rule': said('[{"priority":0,"src":"all","table":"255"},{"priority":32766,"src":"all","table":"254"}]'),
  'ip table local': said(
    '[{"type":"local","dst":"127.0.0.1","dev":"lo","protocol":"kernel","scope":"host","flags":[]}]',
  ),
  nft: failed('Error: No such file or directory\nlist table inet cbtor_tor01'),
  wg: failed('Unable to access interface: No such device'),
}

describe('observe()', () => {
  it('sees that there is nothing', async (t) => {
    const observed = await observe(spec, answering({}), t.signal)
    assert.deepEqual([observed.link, observed.rule, observed.strangers], [undefined, false, []])
    assert.equal(ownershipOf(spec, observed), 'none')
  })

  it('reads what ip, wg and nft say', async (t) => {
    const observed = await observe(
      spec,
      answering({
        'ip addr': said(
          '[{"ifindex":2,"ifname":"wg-tor01","flags":["POINTOPOINT","NOARP","UP","LOWER_UP"],"mtu":1420,"linkinfo":{"info_kind":"wireguard"},"ifalias":"cbtor tor01","addr_info":[{"family":"inet","local":"10.201.1.2","prefixlen":24},{"family":"inet6","local":"fe80::1","prefixlen":64}]}]',
        ),
        'ip table 20101': said(
          '[{"dst":"default","dev":"wg-tor01","scope":"link","flags":[]},{"type":"unreachable","dst":"default","metric":4278198272,"flags":[]}]',
        ),
        'ip rule': said('[{"priority":20101,"src":"10.201.1.0","srclen":24,"table":"20101","protocol":"3"}]'),
        'ip table local': said('[{"type":"local","dst":"10.201.1.16/28","dev":"lo","scope":"host","flags":[]}]'),
        wg: said('PRIV\tPUB\t51821\toff\nPEER\t(none)\t(none)\t0.0.0.0/0\t0\t92\t148\t25\n'),
      }),
      t.signal,
    )
    assert.deepEqual(observed.link?.addresses, ['10.201.1.2/24'])
    assert.deepEqual([observed.link?.isUp, observed.link?.kind], [true, 'wireguard'])
    assert.deepEqual(
      [observed.defaultRoute, observed.killSwitch, observed.rule, observed.lock],
      [true, true, true, false],
    )
    assert.deepEqual(observed.identityRanges, ['10.201.1.16/28'])
    assert.deepEqual(observed.wireguard?.peers[0]?.endpoint, undefined)
    assert.deepEqual([observed.wireguard?.listenPort, observed.strangers], [51821, []])
  })

  it('takes what is near ours and not the same for a stranger', async (t) => {
    const rules = [
      '{"priority":20101,"src":"10.201.1.0","srclen":24,"table":"254"}',
      '{"priority":20101,"src":"10.201.1.0","srclen":24,"table":"20101","fwmark":"0x1"}',
      '{"priority":20101,"src":"all","table":"20101"}',
      '{"priority":5,"src":"192.0.2.1","table":"20101"}',
    ]
    for (const rule of rules) {
      const observed = await observe(spec, answering({ 'ip rule': said(`[${rule}]`) }), t.signal)
      assert.deepEqual([observed.rule, observed.strangers.length], [false, 1], rule)
    }
    const routes = [
      '{"dst":"default","dev":"eth0"}',
      '{"dst":"192.0.2.0/24","dev":"wg-tor01"}',
      '{"type":"unreachable","dst":"default","metric":1}',
      '{"type":"blackhole","dst":"default"}',
    ]
    for (const route of routes) {
      const observed = await observe(spec, answering({ 'ip table 20101': said(`[${route}]`) }), t.signal)
      assert.deepEqual(
        [observed.defaultRoute, observed.killSwitch, observed.strangers.length],
        [false, false, 1],
        route,
      )
    }
  })

  it('says so when ip does not speak JSON, or fails', async (t) => {
    await assert.rejects(observe(spec, answering({ 'ip rule': said('0: from all lookup local') }), t.signal), {
      fault: 'not-installed',
      message: /it does not speak JSON. Install iproute2/,
    })
    await assert.rejects(observe(spec, answering({ 'ip rule': failed('Cannot open netlink socket') }), t.signal), {
      fault: 'failed',
      message: 'Cannot look at the tunnel: "ip rule" failed: Cannot open netlink socket',
    })
  })
})

function answering(answers: Readonly<Record<string, CommandOutput>>): Host {
  const all = { ...NOTHING, ...answers }
  return {
    async run({ program, args }) {
      const words = args.join(' ')
      const key = program === 'ip' ? `ip ${/table \S+|addr|rule/.exec(words)?.[0]}` : program
      return all[key] ?? failed(`no answer to ${program} ${words}`)
    },
    async startWireguard() {},
    async endWireguard() {},
    onChange: () => ({ async [Symbol.asyncDispose]() {} }),
  }
}

function said(stdout: string): CommandOutput {
  return { code: 0, stdout, stderr: '' }
}

function failed(stderr: string): CommandOutput {
  return { code: 1, stdout: '', stderr }
}
