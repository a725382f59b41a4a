import type { FakeExit } from '../../src/workers/fake/fake-exits.ts'

export type Relay = FakeExit & { readonly address: string; readonly country: string }

export const GUARDS = relays(1, {
  quietharbour: 'de',
  northlight: 'se',
  paperlantern: 'nl',
  ironbridge: 'fi',
  saltmarsh: 'ch',
  oldmill: 'at',
})
export const MIDDLES = relays(2, {
  driftwood: 'fr',
  bluefin: 'us',
  hazelgrove: 'gb',
  tidewater: 'ca',
  longmeadow: 'no',
  copperkettle: 'pl',
  starling: 'cz',
  riverstone: 'ro',
})
export const EXITS = relays(3, {
  openwindow: 'de',
  farshore: 'nl',
  lighthouse7: 'us',
  commonland: 'se',
  freewheel: 'ro',
  lanternfish: 'fr',
  wildgarlic: 'ch',
  seabreeze: 'lu',
})

/** Addresses of documentation: 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24. */
function relays(kind: 1 | 2 | 3, countries: Readonly<Record<string, string>>): [Relay, ...Relay[]] {
  const network = { 1: '192.0.2', 2: '198.51.100', 3: '203.0.113' }[kind]
  const [first, ...others] = Object.entries(countries).map(([nickname, country], n) => ({
    ...{ nickname, country, address: `${network}.${n + 1}`, family: nickname },
    fingerprint: `${kind}${n}`.repeat(20),
  }))
  if (first === undefined) throw new Error('There is no relay')
  return [first, ...others]
}
