import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HAND_OVER_TOOLS, handOver } from './hand-over.ts'
import { testSpec } from './test-spec.ts'

describe('handOver()', () => {
  it('has all that keeps packets in, for each tool, and the key only when asked for', () => {
    const spec = testSpec()
    for (const tool of HAND_OVER_TOOLS) {
      const text = handOver(spec, tool, { withKeys: true })
      const wanted = [
        spec.privateKey,
        spec.boxPublicKey,
        '10.201.1.2/24',
        '4278198272',
        '20101',
        'chain output',
        ...spec.identityRanges,
      ]
      for (const part of wanted) assert.ok(text.includes(part), `${tool}: ${part}`)
      assert.ok(!handOver(spec, tool, { withKeys: false }).includes(spec.privateKey), tool)
    }
  })

  it('keeps wg-quick and networkd from making routes of their own', () => {
    assert.match(handOver(testSpec(), 'wg-quick', { withKeys: false }), /^Table = off$/m)
    assert.match(handOver(testSpec(), 'systemd-networkd', { withKeys: false }), /^RouteTable=off$/m)
    assert.match(handOver(testSpec(), 'netifd', { withKeys: false }), /^\toption route_allowed_ips '0'$/m)
  })

  it('calls the interface as netifd can, also in the lock', () => {
    const text = handOver(testSpec({ boxEndpoint: '[2001:db8::1]:51820' }), 'netifd', { withKeys: false })
    assert.match(text, /^config interface 'wg_tor01'$/m)
    assert.match(text, /oifname != \{ "lo", "wg_tor01" \}/)
    assert.match(text, /^\toption endpoint_host '2001:db8::1'\n\toption endpoint_port '51820'$/m)
  })
})
