import { isLoopback, parseAddress } from './addresses.ts'
import { type Finding, ok, warning, worst, wrong } from './finding.ts'

/** Every kind of port that Tor may open, as in `GETINFO net/listeners/KIND`. */
export const LISTENER_KINDS = [
  'socks',
  'control',
  'trans',
  'natd',
  'dns',
  'httptunnel',
  'extor',
  'or',
  'dir',
  'metrics',
] as const
export type ListenerKind = (typeof LISTENER_KINDS)[number]

/** `unix:/path` or `127.0.0.1:9050` each, as Tor tells it. A kind that this Tor does not know is not there. */
export type TorListeners = ReadonlyMap<ListenerKind, readonly string[]>

const OF_RELAYS: readonly ListenerKind[] = ['or', 'dir', 'extor']

/**
 * What a local worker's Tor listens on: the two unix sockets of ours, and ports that the torrc lines of the configuration add.
 * `own`: those two, `unix:/path`. `added`: how many ports the configuration adds.
 */
export function judgeLocalListeners(
  name: string,
  listeners: TorListeners,
  { own, added }: { readonly own: readonly string[]; readonly added: number },
): readonly Finding[] {
  const all = [...listeners].flatMap(([kind, addresses]) => addresses.map((address) => ({ kind, address })))
  const missing = own.filter((address) => !all.some((each) => each.address === address))
  const others = all.filter(({ address }) => !own.includes(address))
  const shown = others.map(({ kind, address }) => `${kind} ${address}`).join(', ')
  const open = others.filter(({ address }) => !address.startsWith('unix:') && !isLoopback(hostOf(address)))
  const found: Finding[] = []
  if (missing.length > 0)
    found.push(wrong(name, `Tor does not listen on ${missing.join(', ')}`, 'Restart the worker: POST …/tor/restart'))
  if (others.length > added)
    found.push(
      wrong(
        name,
        `Tor listens on more than the configuration says: ${shown}`,
        "See where that comes from, such as tor's defaults (torrc-defaults), and restart the service",
      ),
    )
  else if (open.length > 0)
    found.push(
      warning(
        name,
        `Tor listens where others can reach it: ${shown}`,
        'Take the port out of the torrc lines, or let nobody in but whom it is for, by SocksPolicy and firewall',
      ),
    )
  const text = others.length === 0 ? 'unix sockets of ours alone' : `unix sockets of ours, and as configured: ${shown}`
  return worst(found, ok(name, text))
}

/** As `worker install` has it; the firewall of the box and SocksPolicy let in none but this machine, by the tunnel. */
const OF_BOX: readonly string[] = [
  'socks 0.0.0.0:9050',
  'trans 0.0.0.0:9040',
  'dns 0.0.0.0:9053',
  'control 127.0.0.1:9051',
]

/** What the Tor of a box listens on. */
export function judgeBoxListeners(name: string, listeners: TorListeners, id: string): readonly Finding[] {
  const all = [...listeners].flatMap(([kind, addresses]) => addresses.map((address) => `${kind} ${address}`))
  const others = all.filter((each) => !OF_BOX.includes(each) && !isLoopback(hostOf(each.split(' ')[1] ?? '')))
  if (others.length === 0) return [ok(name, all.join(', '))]
  return [
    warning(
      name,
      `Tor listens on more than was installed, where others can reach it: ${others.join(', ')}`,
      `Take it out of the torrc of the box, and see: cbtor workers check ${id}`,
    ),
  ]
}

/** What a Tor that somebody else runs listens on. */
export function judgeExternalListeners(name: string, listeners: TorListeners): readonly Finding[] {
  const found: Finding[] = []
  for (const [kind, addresses] of listeners) {
    if (OF_RELAYS.includes(kind)) continue // it may be a relay as well; those are for everybody
    for (const address of addresses) {
      if (address.startsWith('unix:') || isLoopback(hostOf(address))) continue
      found.push(
        kind === 'control'
          ? wrong(
              name,
              `its control port is at ${address}, where others can reach it`,
              'Let it listen on a loopback address or a unix socket alone: whoever gets in has full power',
            )
          : warning(
              name,
              `its ${kind} port is at ${address}, where others can reach it`,
              `Let nobody in but this machine, by ${kind === 'socks' ? 'SocksPolicy and ' : ''}firewall`,
            ),
      )
    }
  }
  const count = [...listeners.values()].flat().length
  return worst(found, ok(name, `${count} listener${count === 1 ? '' : 's'}, none where others can reach it`))
}

/** What cannot be read is taken for an address that others can reach. */
function hostOf(address: string): string {
  return parseAddress(address)?.host ?? '0.0.0.0'
}
