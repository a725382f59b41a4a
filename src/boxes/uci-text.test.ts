import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  addToList,
  findSection,
  parseUci,
  placeSection,
  removeFromList,
  removeSection,
  sectionChanges,
  type UciSection,
} from './uci-text.ts'

const NETWORK = `
# by hand
config interface 'loopback'
	option device 'lo'
	list ipaddr '127.0.0.1/8'   # a comment

config interface "wan"
	option proto dhcp
	option hostname 'it'\\''s "mine"'
`

const WG: UciSection = {
  type: 'interface',
  name: 'wg0',
  options: new Map<string, string | string[]>([
    ['proto', 'wireguard'],
    ['private_key', 'secret='],
    ['addresses', ['10.201.1.1/24']],
  ]),
}

describe('parseUci()', () => {
  it('reads sections, options and lists in every way of quoting', () => {
    const [loopback, wan] = parseUci(NETWORK)
    assert.deepEqual([loopback?.type, loopback?.name], ['interface', 'loopback'])
    assert.deepEqual(loopback?.options.get('ipaddr'), ['127.0.0.1/8'])
    assert.equal(wan?.name, 'wan')
    assert.equal(wan?.options.get('hostname'), `it's "mine"`)
  })

  it('reads what libuci reads, in whatever shape: CRLF, tabs, comments behind words, several lines, abbreviations', () => {
    const odd = [
      "config\tzone  'lan'#mine\r",
      '\t option \tname\tlan # a comment\r',
      "option network 'lan",
      "config zone fake'; list device \"br-\"'lan'",
      'option masq \\',
      '1',
      'c zone',
      "o name 'second'",
      'l network a',
      'list network b',
      'option input ACCEPT',
      "list input 'REJECT'",
      'list network c',
    ].join('\n')
    const [first, second, ...more] = parseUci(odd)
    assert.deepEqual(more, [])
    assert.deepEqual([first?.name, first?.start, first?.end], ['lan', 0, 6])
    assert.deepEqual(
      [...(first?.options ?? [])],
      [
        ['name', 'lan'],
        ['network', 'lan\nconfig zone fake'],
        ['device', ['br-lan']],
        ['masq', '1'],
      ],
    )
    assert.deepEqual([second?.name, second?.options.get('name')], [undefined, 'second'])
    assert.deepEqual(second?.options.get('network'), ['a', 'b', 'c'])
    assert.deepEqual(second?.options.get('input'), ['ACCEPT', 'REJECT'])
  })

  it('leaves odd files as they were when ours is taken out again, but for line ends that were missing', () => {
    for (const odd of [
      NETWORK.replaceAll('\n', '\r\n'),
      `${NETWORK}\noption x 'a\nb'\n`,
      '\n\n',
      '# only a comment\n',
    ]) {
      const placed = placeSection(odd, WG)
      assert.ok(placed.startsWith(odd))
      assert.equal(findSection(placed, 'wg0')?.options.get('private_key'), 'secret=')
      assert.equal(removeSection(placed, 'wg0'), odd)
    }
    assert.equal(removeSection(placeSection("config a 'b'", WG), 'wg0'), "config a 'b'\n")
  })

  it('takes out every part of a section that begins twice', () => {
    const twice = `${placeSection(NETWORK, WG)}\nconfig interface wg0\n\toption auto '0'\n`
    assert.equal(removeSection(twice, 'wg0'), NETWORK)
  })

  it('knows anonymous sections', () => {
    const [section] = parseUci(`config defaults\n\toption input REJECT\n`)
    assert.deepEqual([section?.type, section?.name, section?.options.get('input')], ['defaults', undefined, 'REJECT'])
  })
})

describe('placeSection()', () => {
  it('adds a section at the end and leaves the rest alone, byte for byte', () => {
    const placed = placeSection(NETWORK, WG)
    assert.ok(placed.startsWith(NETWORK))
    assert.equal(findSection(placed, 'wg0')?.options.get('proto'), 'wireguard')
    assert.equal(removeSection(placed, 'wg0'), NETWORK)
  })

  it('changes nothing when all is as wanted', () => {
    const placed = placeSection(NETWORK, WG)
    assert.equal(placeSection(placed, WG), placed)
    assert.deepEqual(sectionChanges('network', placed, WG), [])
  })

  it('mends what is wrong and keeps what the operator added', () => {
    const placed = placeSection(NETWORK, WG).replace("'wireguard'", "'none'").concat("\toption mtu '1300'\n")
    const mended = findSection(placeSection(`${placed}\nconfig x 'y'\n\toption z '1'\n`, WG), 'wg0')
    assert.equal(mended?.options.get('proto'), 'wireguard')
    assert.equal(mended?.options.get('mtu'), '1300')
  })

  it('puts the first section into an empty file', () => {
    assert.equal(
      placeSection('', { type: 'a', name: 'b', options: new Map([['c', "d'e"]]) }),
      "config a 'b'\n\toption c 'd'\\''e'\n",
    )
  })
})

it('shows what it would change as lines of uci, and no secret', () => {
  assert.deepEqual(sectionChanges('network', NETWORK, WG), [
    'uci set network.wg0=interface',
    "uci set network.wg0.proto='wireguard'",
    'uci set network.wg0.private_key=(secret)',
    "uci add_list network.wg0.addresses='10.201.1.1/24'",
  ])
  const other = placeSection(NETWORK, { ...WG, options: new Map([...WG.options, ['addresses', ['10.201.2.1/24']]]) })
  assert.deepEqual(sectionChanges('network', other, WG), [
    'uci delete network.wg0.addresses',
    "uci add_list network.wg0.addresses='10.201.1.1/24'",
  ])
})

it('adds to a list and takes away from it', () => {
  const tor = `config tor 'conf'\n\toption default '/etc/tor/torrc'\n\n`
  const added = addToList(tor, 'conf', 'tail_include', '/etc/tor/torrc.d/cbtor.conf')
  assert.equal(
    added,
    `config tor 'conf'\n\toption default '/etc/tor/torrc'\n\tlist tail_include '/etc/tor/torrc.d/cbtor.conf'\n\n`,
  )
  assert.equal(addToList(added, 'conf', 'tail_include', '/etc/tor/torrc.d/cbtor.conf'), added)
  assert.equal(removeFromList(added, 'conf', 'tail_include', '/etc/tor/torrc.d/cbtor.conf'), tor)
})
