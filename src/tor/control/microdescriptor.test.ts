import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PortPolicy, parseMicrodescriptor } from './microdescriptor.ts'

const [A, B, C] = ['A', 'B', 'C'].map((digit) => digit.repeat(40)) as [string, string, string]

describe('parseMicrodescriptor()', () => {
  it('reads the ports of an exit and whom it declares to be of its family', () => {
    const { exitPorts, exitPorts6, family, familyIds } = parseMicrodescriptor(
      [
        'onion-key',
        '-----BEGIN RSA PUBLIC KEY-----',
        'MIGJAoGBALqhrj4VpU9u0wn3WF5pGsNDCrJdlrocphyn+3QfmTvyHqrKI4RSSXp/',
        '-----END RSA PUBLIC KEY-----',
        'ntor-onion-key yGKviC258yuH3a1YG0zj9ipgnAbEouJ6Q3d3naYsyA4',
        'a [2001:db8::7]:9001',
        `family $${A} $${B.toLowerCase()}~friend anybody $${C}=old`,
        'family-ids ed25519:wweKJrJxUDs1EdtFFHCDtvVgTKftOC/crUl1mYJv830 other:x',
        'p accept 80,443,8000-8100',
        'p6 reject 25',
        'id ed25519 ClbmuUfXBEMK4uWox+C5C/9QrUGKxUopmVJtNMTFyTg',
      ].join('\n'),
    )
    assert.deepEqual(
      [79, 80, 443, 7_999, 8_000, 8_100, 8_101].map((port) => exitPorts.accepts(port)),
      [false, true, true, false, true, true, false],
    )
    assert.deepEqual([exitPorts6.accepts(25), exitPorts6.accepts(80)], [false, true])
    assert.deepEqual([...family], [A, B, C])
    assert.deepEqual(familyIds, ['ed25519:wweKJrJxUDs1EdtFFHCDtvVgTKftOC/crUl1mYJv830', 'other:x'])
  })

  it('takes a relay that says nothing for one that lets nothing out and belongs to nobody', () => {
    const { exitPorts, exitPorts6, family, familyIds } = parseMicrodescriptor('')
    for (const port of [1, 80, 65_535]) assert.equal(exitPorts.accepts(port) || exitPorts6.accepts(port), false)
    assert.equal(family.size + familyIds.length, 0)
  })
})

describe('PortPolicy', () => {
  it('accepts all but what is rejected', () => {
    const policy = PortPolicy.parse('reject 1-1023,6666')
    assert.deepEqual(
      [1, 1_023, 1_024, 6_666, 65_535].map((port) => policy.accepts(port)),
      [false, false, true, false, true],
    )
  })

  it('accepts nothing of what it cannot read', () => {
    for (const text of ['', 'accept', 'accept ', 'allow 80', 'reject', 'reject all', 'reject 1-', 'accept 80, 443'])
      assert.equal(PortPolicy.parse(text).accepts(80), false, text)
  })
})
