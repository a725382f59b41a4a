import { parsePath, type RelayName } from '../relay-name.ts'
import { parseNumber, splitFields, splitList } from '../text.ts'
import type { Open } from './open.ts'

/** A circuit, as CIRC events and `GETINFO circuit-status` tell it (control-spec 4.1.1). */
export interface Circuit {
  readonly id: string
  readonly status: Open<'LAUNCHED' | 'BUILT' | 'GUARD_WAIT' | 'EXTENDED' | 'FAILED' | 'CLOSED'>
  /** The relays reached so far, guard first; empty at the start. */
  readonly path: readonly RelayName[]
  readonly buildFlags: readonly Open<'ONEHOP_TUNNEL' | 'IS_INTERNAL' | 'NEED_CAPACITY' | 'NEED_UPTIME'>[]
  readonly purpose:
    | Open<'GENERAL' | 'CONTROLLER' | 'HS_CLIENT_REND' | 'CONFLUX_UNLINKED' | 'CONFLUX_LINKED'>
    | undefined
  readonly hsState: string | undefined
  /** The onion address without `.onion`. */
  readonly rendQuery: string | undefined
  /** UTC, `2024-01-31T12:00:00.000000`. */
  readonly timeCreated: string | undefined
  readonly reason: string | undefined
  readonly remoteReason: string | undefined
  readonly socksUsername: string | undefined
  readonly socksPassword: string | undefined
  /** Two circuits with the same id are legs of one. */
  readonly confluxId: string | undefined
  /** Microseconds. */
  readonly confluxRtt: number | undefined
}

/** Undefined when the id or the status is missing. */
export function parseCircuit(text: string): Circuit | undefined {
  const { words, values } = splitFields(text, 2)
  const [id, status, ...others] = words
  if (id === undefined || status === undefined) return undefined
  return {
    id,
    status,
    path: others.map(parsePath).find((path) => path !== undefined) ?? [],
    buildFlags: splitList(values.get('BUILD_FLAGS')),
    purpose: values.get('PURPOSE'),
    hsState: values.get('HS_STATE'),
    rendQuery: values.get('REND_QUERY'),
    timeCreated: values.get('TIME_CREATED'),
    reason: values.get('REASON'),
    remoteReason: values.get('REMOTE_REASON'),
    socksUsername: values.get('SOCKS_USERNAME'),
    socksPassword: values.get('SOCKS_PASSWORD'),
    confluxId: values.get('CONFLUX_ID'),
    confluxRtt: parseNumber(values.get('CONFLUX_RTT')),
  }
}

/** A circuit that got another purpose, or was taken over for another use (control-spec 4.1.19). */
export interface CircuitChange {
  readonly change: Open<'PURPOSE_CHANGED' | 'CANNIBALIZED'>
  readonly circuit: Omit<Circuit, 'status'>
  readonly oldPurpose: string | undefined
}

export function parseCircuitChange(text: string): CircuitChange | undefined {
  const parsed = parseCircuit(text)
  if (parsed === undefined) return undefined
  const { status: change, ...circuit } = parsed
  return { change, circuit, oldPurpose: splitFields(text, 2).values.get('OLD_PURPOSE') }
}
