import { parseRelayName, type RelayName } from '../relay-name.ts'
import { splitFields } from '../text.ts'
import type { Open } from './open.ts'

/** News of a guard (control-spec 4.1.11). */
export interface GuardChange {
  readonly kind: Open<'ENTRY'>
  readonly relay: RelayName
  readonly status: Open<'NEW' | 'UP' | 'DOWN' | 'BAD' | 'GOOD' | 'DROPPED' | 'BAD_L2'>
}

/** Undefined unless the three are there. */
export function parseGuardChange(text: string): GuardChange | undefined {
  const [kind, name, status] = splitFields(text, 3).words
  const relay = name === undefined ? undefined : parseRelayName(name)
  return kind === undefined || relay === undefined || status === undefined ? undefined : { kind, relay, status }
}

/** A guard in Tor's list, from `GETINFO entry-guards`. */
export interface Guard {
  readonly relay: RelayName
  readonly status: Open<'up' | 'never-connected' | 'down' | 'unusable' | 'unlisted'>
  /** UTC, `2024-01-31 12:00:00`: since when it is unusable or unlisted. */
  readonly since: string | undefined
}

export function parseGuard(text: string): Guard | undefined {
  const [name, status, ...time] = splitFields(text, 2).words
  const relay = name === undefined ? undefined : parseRelayName(name)
  if (relay === undefined || status === undefined) return undefined
  return { relay, status, since: time.length === 0 ? undefined : time.join(' ') }
}
