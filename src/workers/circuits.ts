import type { Circuit } from '../tor/control/events/circuit.ts'

/** What a circuit is told by, in events of both kinds and in lists. */
type Described = Pick<Circuit, 'purpose' | 'buildFlags'>

/** Whether streams to the clearnet can go on it: not one of Tor's own for its directory or for onion services. */
export function leadsToExit({ purpose, buildFlags }: Described): boolean {
  return purpose === 'GENERAL' && !buildFlags.includes('IS_INTERNAL') && !buildFlags.includes('ONEHOP_TUNNEL')
}

/** Whether it was built for an identity, or has carried one's streams. */
export function isTaken({ socksUsername }: Circuit): boolean {
  return socksUsername !== undefined
}
