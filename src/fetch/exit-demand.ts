import { isIPv6 } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import type { Routing } from '../domain/exchange.ts'
import type { ExitDemand } from '../domain/identity.ts'
import { isOnionHost } from '../domain/worker.ts'
import { sessionName } from './session.ts'
import type { Sessions } from './sessions.ts'

/**
 * What a worker is to obey of the request's exit rule, the other session's exits of late looked up; undefined when there is no rule. Throws
 * `session_not_found` when there is no such other session, and `exit_rule_unsupported` when its exit is not known or the target is none
 * to which an exit can be chosen: a rule that cannot be met is never left out.
 */
export function exitDemandOf(
  { exitRule, stickyKey, caller }: Pick<Routing, 'exitRule' | 'stickyKey' | 'caller'>,
  host: string,
  sessions: Pick<Sessions, 'get'>,
): ExitDemand | undefined {
  if (exitRule === undefined) return undefined
  requireChoice(host)
  const { country, excludeCountries = [], distinctFrom } = exitRule
  if (distinctFrom !== undefined && distinctFrom === stickyKey) throw unsupported('no session is distinct from itself')
  const other = distinctFrom === undefined ? undefined : sessions.get(sessionName(caller, distinctFrom))
  if (other !== undefined && other.exit === undefined)
    throw unsupported(
      'the exit of the session that it is to be distinct from is not known yet. Fetch something with that session',
    )
  return {
    ...(country !== undefined && { country }),
    excludeCountries,
    // Its tunnels may stand on the exits that it had before.
    notBy: other?.exit === undefined ? [] : [...new Set([...other.recentExits, other.exit.fingerprint])].sort(),
  }
}

/** Throws `exit_rule_unsupported` when a redirect leads where no exit can be chosen. */
export function requireChoice(host: string): void {
  if (isOnionHost(host)) throw unsupported('an onion service is reached without one')
  // Tor's MAPADDRESS takes no IPv6 address with an exit behind it.
  if (isIPv6(host)) throw unsupported('Tor cannot be told by which exit to go to an IPv6 address; ask for a name')
}

function unsupported(why: string): CbtorError {
  return new CbtorError('exit_rule_unsupported', `Cannot choose an exit: ${why}`)
}
