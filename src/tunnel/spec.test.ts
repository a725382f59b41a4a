import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BoxFile } from '../boxes/box-file.ts'
import { tunnelNames, tunnelSpec } from './spec.ts'
import { testBox, testSpec } from './test-spec.ts'

describe('tunnelSpec()', () => {
  it('gives a tunnel the names and addresses of its number', () => {
    const { interfaceName, hostAddress, boxAddress, subnet, table, lockTable, identityRanges, mtu } = testSpec({
      n: 254,
    })
    assert.deepEqual(
      { interfaceName, hostAddress, boxAddress, subnet, table, lockTable, mtu },
      {
        interfaceName: 'wg-tor254',
        hostAddress: '10.201.254.2',
        boxAddress: '10.201.254.1',
        subnet: '10.201.254.0/24',
        table: 20354,
        lockTable: 'cbtor_tor254',
        mtu: 1420,
      },
    )
    assert.deepEqual(identityRanges, ['10.201.254.16/28', '10.201.254.32/27', '10.201.254.64/26', '10.201.254.128/25'])
    assert.equal(testSpec({ n: 7 }).interfaceName, 'wg-tor07')
  })

  it('refuses what would reach a command line or a configuration as something else', () => {
    const bad: readonly (readonly [Partial<BoxFile['tunnel']>, RegExp])[] = [
      [{ n: 0 }, /tunnel number 0: expected a whole number from 1 to 254/],
      [{ n: 255 }, /from 1 to 254/],
      [{ n: 1.5 }, /from 1 to 254/],
      [{ privateKey: 'secret' }, /its private key is not 32 bytes in base64/],
      [{ privateKey: `${testBox().tunnel.privateKey}\nPostUp = reboot` }, /its private key/],
      [{ boxPublicKey: '' }, /its box's public key/],
      [{ listenPort: 0 }, /its listen port/],
      [{ listenPort: 70_000 }, /its listen port/],
      [{ boxEndpoint: '-oProxyCommand=x:51820' }, /its box endpoint is not HOST:PORT/],
      [{ boxEndpoint: 'a;reboot:51820' }, /its box endpoint/],
      [{ boxEndpoint: 'box:51820\nAllowedIPs = ::/0' }, /its box endpoint/],
      [{ boxEndpoint: 'box:99999' }, /its box endpoint/],
      [{ boxEndpoint: 'box' }, /its box endpoint/],
    ]
    for (const [tunnel, message] of bad) {
      assert.throws(() => tunnelSpec(testBox(tunnel)), { fault: 'invalid', message }, JSON.stringify(tunnel))
    }
    assert.throws(() => tunnelSpec(testBox({}, 'a b')), /its id is not a letter/)
    try {
      tunnelSpec(testBox({ privateKey: 'secret' }))
    } catch (error) {
      assert.doesNotMatch(String(error), /secret/)
    }
  })

  it('takes names, and addresses of both kinds', () => {
    for (const boxEndpoint of ['box.example:1', '192.0.2.11:65535', '[2001:db8::1]:51820']) {
      assert.equal(testSpec({ boxEndpoint }).boxEndpoint, boxEndpoint)
    }
  })

  it('never gives two tunnels a name, a table or a range in common', () => {
    const all = Array.from({ length: 254 }, (_, index) => tunnelNames(index + 1))
    for (const field of ['interfaceName', 'subnet', 'table', 'lockTable'] as const) {
      assert.equal(new Set(all.map((names) => names[field])).size, 254, field)
    }
    assert.ok(all.every(({ interfaceName }) => interfaceName.length <= 15))
  })
})
