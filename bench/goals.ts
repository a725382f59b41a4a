import type { Goal } from './lib/figures.ts'
import { BARE } from './lib/report.ts'

const CURL = { contestant: BARE }
const WARM_HTTP = 'new stream, warm circuit, http'
const C64 = '1 kB, 64 at a time, a connection each'
const C64_KEPT = '1 kB, 64 at a time, kept connections'

/** What CBTOR is to reach. */
export const GOALS: readonly Goal[] = [
  {
    ...{ text: 'first byte at 20 ms a hop, http, HTTP port, of curl straight through Tor', case: 'first-byte' },
    ...{ variant: WARM_HTTP, contestant: 'CBTOR HTTP port', against: CURL, atMost: 0.7 },
  },
  {
    ...{ text: 'the same, /fetch', case: 'first-byte' },
    ...{ variant: WARM_HTTP, contestant: 'CBTOR /fetch', against: CURL, atMost: 0.7 },
  },
  ...['haproxy → privoxy → tor', 'haproxy → privoxy, forward-socks5 → tor'].map((peer) => ({
    ...{ text: `the same, HTTP port, of ${peer}`, case: 'first-byte', variant: WARM_HTTP },
    ...{ contestant: 'CBTOR HTTP port', against: { contestant: peer }, atMost: 0.6 },
  })),
  {
    ...{ text: 'first byte at 20 ms a hop, https, /fetch, of curl', case: 'first-byte' },
    ...{ variant: 'new stream, warm circuit, https', contestant: 'CBTOR /fetch', against: CURL, atMost: 0.8 },
  },
  {
    ...{ text: 'fresh identity at 20 ms a hop, of a used one', case: 'first-byte', variant: 'fresh identity, http' },
    ...{ contestant: 'CBTOR /fetch', against: { variant: WARM_HTTP }, atMost: 1.1 },
  },
  {
    ...{ text: 'kept-alive request through /fetch at 20 ms a hop, of one straight through Tor', case: 'kept-alive' },
    ...{ variant: 'http, first byte', contestant: 'CBTOR /fetch', against: CURL, atMost: 1.15 },
  },
  {
    ...{ text: 'small GET, 64 at a time, HTTP port, of haproxy', case: 'requests', variant: C64 },
    ...{ contestant: 'CBTOR HTTP port', against: { contestant: 'haproxy → tor' }, atLeast: 0.9 },
  },
  {
    ...{ text: 'the same, of proxy-chain', case: 'requests', variant: C64 },
    ...{ contestant: 'CBTOR HTTP port', against: { contestant: 'proxy-chain → tor' }, atLeast: 1.4 },
  },
  {
    ...{
      text: 'small GET, 64 at a time, /fetch, of one Node client straight through Tor',
      case: 'requests',
      variant: C64,
    },
    ...{ contestant: 'CBTOR /fetch', against: CURL, atLeast: 0.8 },
  },
  {
    ...{ text: 'the same, both with kept connections', case: 'requests', variant: C64_KEPT },
    ...{ contestant: 'CBTOR /fetch', against: CURL, atLeast: 0.8 },
  },
  ...['one stream', '16 streams at once'].flatMap((variant) =>
    ['CBTOR HTTP port', 'CBTOR SOCKS5 port'].map((contestant) => ({
      ...{ text: `50 MB, ${variant}, ${contestant.slice(6)}`, case: 'streams', variant, contestant },
      ...{ against: CURL, atLeast: 0.95 },
    })),
  ),
  ...['CBTOR HTTP port', 'CBTOR SOCKS5 port'].flatMap((contestant) => [
    {
      ...{ text: `gateway alone, new tunnels, ${contestant.slice(6)}, of proxy-chain`, case: 'alone' },
      ...{ variant: 'new tunnels, 64 at a time', contestant, against: { contestant: 'proxy-chain' }, atLeast: 1.5 },
    },
    {
      ...{ text: `gateway alone, MB/s, ${contestant.slice(6)}, of proxy-chain`, case: 'alone' },
      ...{ variant: 'one stream', contestant, against: { contestant: 'proxy-chain' }, atLeast: 1.5 },
    },
  ]),
  ...['killed', 'frozen', 'cut off'].flatMap((fault) =>
    [20, 100].flatMap((rate) => [
      {
        ...{ text: `one of four ${fault}, ${rate} a second: % failed, /fetch`, case: 'failures' },
        ...{ variant: `${fault}, ${rate} a second: failed`, contestant: 'CBTOR /fetch', atMost: 0 },
      },
      {
        ...{ text: `one of four ${fault}, ${rate} a second: % failed, HTTP port`, case: 'failures' },
        ...{ variant: `${fault}, ${rate} a second: failed`, contestant: 'CBTOR HTTP port', atMost: 0 },
      },
      {
        ...{ text: `one of four ${fault}, ${rate} a second: % of the rate within 4 s, /fetch`, case: 'failures' },
        ...{ variant: `${fault}, ${rate} a second: rate kept from 4 s on`, contestant: 'CBTOR /fetch', atLeast: 70 },
      },
    ]),
  ),
  {
    ...{ text: 'an idle tunnel, KiB', case: 'idle-tunnels', variant: 'resident, each' },
    ...{ contestant: 'CBTOR HTTP port', atMost: 50 },
  },
  {
    ...{ text: '100,000 fetches: memory after the last tenth, of that after the second', case: 'memory' },
    ...{ variant: 'resident after the last tenth', contestant: 'CBTOR', atMost: 1.1 },
    against: { variant: 'resident after the second tenth' },
  },
]
