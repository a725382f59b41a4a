import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  allAddresses,
  bandwidthFile,
  CLIENTS,
  clientAddress,
  exitSourceAddresses,
  geoipFile,
  isRelay,
  LOOPBACK_SLOTS,
  planNetwork,
  resolveName,
  siteUrl,
} from './plan.ts'

const inNamespace = planNetwork({ isolation: 'namespace', latencyMs: 0, loopbackSlot: 0 })
const onLoopback = planNetwork({ isolation: 'loopback', latencyMs: 0, loopbackSlot: 0x1234 })

describe('planNetwork()', () => {
  it('gives every process and site an address of its own', () => {
    for (const plan of [inNamespace, onLoopback]) {
      const addresses = allAddresses(plan)
      assert.equal(addresses.length, 16 + (plan === inNamespace ? CLIENTS : 0))
      assert.equal(new Set(addresses).size, addresses.length)
    }
  })

  it('uses documentation addresses in a namespace and a /24 of its slot on loopback', () => {
    assert.ok(allAddresses(inNamespace).every((address) => /^(203\.0\.113|198\.51\.100)\.\d+$/.test(address)))
    assert.ok(allAddresses(onLoopback).every((address) => address.startsWith('127.82.52.')))
    const last = planNetwork({ isolation: 'loopback', latencyMs: 0, loopbackSlot: LOOPBACK_SLOTS - 1 })
    assert.ok(allAddresses(last).every((address) => address.startsWith('127.127.255.')))
  })

  it('gives clients in a namespace an address each, up to a number', () => {
    assert.equal(clientAddress(inNamespace, 1), '203.0.113.101')
    assert.equal(clientAddress(onLoopback, 1), undefined)
    for (const n of [0, CLIENTS + 1, 1.5]) assert.throws(() => clientAddress(inNamespace, n), RangeError)
  })

  it('knows by which addresses a site can tell an exit', () => {
    assert.deepEqual(exitSourceAddresses(inNamespace), ['203.0.113.21', '203.0.113.22', '203.0.113.23', '203.0.113.24'])
    assert.deepEqual(exitSourceAddresses(onLoopback), ['127.0.0.1'])
  })
})

describe('resolveName()', () => {
  it('knows the sites, whatever the case, and any other name of the domain as the www site', () => {
    assert.equal(resolveName(inNamespace, 'check.cbtor.test'), inNamespace.addresses.check)
    assert.equal(resolveName(inNamespace, 'ChEcK.CBTOR.test'), inNamespace.addresses.check)
    assert.equal(resolveName(inNamespace, 'refused.cbtor.test'), inNamespace.addresses.refused)
    assert.equal(resolveName(inNamespace, 'a.b.cbtor.test'), inNamespace.addresses.www)
    assert.equal(resolveName(inNamespace, 'cbtor.test'), inNamespace.addresses.www)
  })

  it('knows no other name', () => {
    for (const name of ['nowhere.cbtor.test', 'notcbtor.test', 'cbtor.test.example', 'google.com', '']) {
      assert.equal(resolveName(inNamespace, name), undefined, name)
    }
  })
})

it('names the port in a URL only where it is not the usual one', () => {
  assert.equal(siteUrl(inNamespace, 'https', 'www.cbtor.test'), 'https://www.cbtor.test')
  assert.equal(siteUrl(onLoopback, 'https', 'www.cbtor.test'), 'https://www.cbtor.test:8443')
})

it('lists the GeoIP ranges in order, as Tor demands', () => {
  const lines = geoipFile(inNamespace).trimEnd().split('\n')
  const starts = lines.map((line) => Number(line.split(',')[0]))
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  )
  assert.ok(lines.includes(`${0xcb007115},${0xcb007115},DE`)) // 203.0.113.21
})

it('gives every relay a bandwidth, and clients no reason to use an authority', () => {
  const relays = inNamespace.processes.filter(isRelay)
  const fingerprints = new Map(relays.map(({ name }) => [name, `F-${name}`]))
  const [timestamp, ...lines] = bandwidthFile(inNamespace, fingerprints, 1_700_000_000).trimEnd().split('\n')
  assert.equal(timestamp, '1700000000')
  assert.equal(lines.length, relays.length)
  assert.ok(lines.includes('node_id=$F-exit1 bw=10000 nick=exit1'))
  assert.ok(lines.includes('node_id=$F-auth1 bw=1 nick=auth1'))
})
