import type { Circuit } from '../tor/control/events/circuit.ts'
import type { Stream } from '../tor/control/events/stream.ts'

/** What a circuit is told by, in events of both kinds and in lists. */
type Described = Pick<Circuit, 'purpose' | 'buildFlags'>

/** Whether streams to the clearnet can go on it: not one of Tor's own for its directory or for onion services. */
export function leadsToExit({ purpose, buildFlags }: Described): boolean {
  return purpose === 'GENERAL' && !buildFlags.includes('IS_INTERNAL') && !buildFlags.includes('ONEHOP_TUNNEL')
}

/** Whether it is one more circuit to an exit for its guard; a leg of a Conflux set is one, too. */
export function burdensGuard(circuit: Described): boolean {
  return leadsToExit(circuit) || (circuit.purpose?.startsWith('CONFLUX_') ?? false)
}

/**
 * Whom a stream is for: its SOCKS user name; over the TransPort the address that it comes from, which its circuits do not tell.
 */
export function userOf({ socksUsername, clientProtocol, sourceAddress }: Stream): string | undefined {
  return socksUsername ?? (clientProtocol === 'TRANS' ? sourceAddress?.host : undefined)
}
