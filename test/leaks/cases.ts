/** The cases of leaks and linkage, and where those are looked after that no test of this suite has in its title. */

export interface LeakCase {
  /** What would go wrong. */
  readonly what: string
  /** The file of another suite whose tests have it. */
  readonly testedIn?: string
  /** Why there is nothing to test. */
  readonly argued?: string
}

const OPENWRT = 'test/openwrt'

export const CASES: Readonly<Record<string, LeakCase>> = {
  L1: { what: 'a name is resolved here instead of at the exit' },
  L2: { what: 'a client of the SOCKS port did its own DNS' },
  L3: { what: "an onion name with a trailing dot goes to an exit's resolver" },
  L4: { what: 'a name that looks like an onion is half taken for one' },
  L5: { what: 'with no worker left a request goes directly' },
  L6: { what: 'proxy and resolver settings of the environment are followed' },
  L7: { what: 'a child process learns or resolves a target' },
  L8: { what: "a tunnel's packets leave by the uplink when it is down", testedIn: `${OPENWRT}/box-leaks.test.ts` },
  L9: { what: 'IPv6 goes around' },
  L10: { what: 'Alt-Svc, HTTPS records or QUIC are followed' },
  L11: { what: 'Onion-Location, or a redirect to an onion, changes the session' },
  L12: { what: 'an onion redirects to the clearnet' },
  L13: { what: 'https redirects to http' },
  L14: { what: 'Referer, Authorization or Cookie crosses origins' },
  L15: { what: 'identities share connections or circuits' },
  L16: { what: 'identities share TLS sessions' },
  L17: { what: 'HTTP/2 joins two hosts of one certificate' },
  L18: { what: 'TLS early data or tickets are sent' },
  L19: { what: 'cookies go from one identity to another' },
  L20: { what: 'cache validators go from one identity to another' },
  L21: { what: 'HTTP credentials, HSTS or permanent redirects are remembered' },
  L22: { what: 'two sessions get one SOCKS token' },
  L23: { what: 'isolation is off and nobody notices' },
  L24: { what: 'a masquerade makes all source addresses one', testedIn: `${OPENWRT}/box-isolation.test.ts` },
  L25: { what: 'a source address is given on too soon', testedIn: 'src/workers/openwrt/source-addresses.test.ts' },
  L26: { what: 'connections and circuits survive a rotation' },
  L27: { what: 'new circuits are taken for new before they are' },
  L28: { what: 'the exit is the same after a rotation and is said to be another' },
  L29: { what: 'a sticky session silently changes its exit' },
  L30: { what: 'a sticky session silently changes its worker' },
  L31: { what: 'headers of proxies and of ours are sent on' },
  L32: { what: 'default headers tell of Node or CBTOR' },
  L33: { what: 'headers are rewritten differently by each route' },
  L34: { what: 'checks link the workers' },
  L35: { what: 'third parties are contacted' },
  L36: { what: 'a retry or hedge shows a URL to more exits than it says' },
  L37: { what: 'logs, metrics, events or the store hold targets or secrets' },
  L38: { what: "Tor's own log holds targets" },
  L39: { what: 'control events are kept' },
  L40: { what: "a target forges our answer's headers" },
  L41: { what: "fetched HTML is rendered in the operator's browser" },
  L42: { what: "our pages load third parties' assets" },
  L43: { what: 'SOCKS BIND or UDP ASSOCIATE opens a way' },
  L44: { what: 'reserved addresses that Tor does not block are reached' },
  L45: { what: 'errors tell of workers, paths or hosts' },
}

/** The cases that a title names: `L1, L6: …` has two. */
export function casesOf(title: string): readonly string[] {
  const [, list] = /^(L\d+(?:, L\d+)*): /.exec(title) ?? []
  return list?.split(', ') ?? []
}
