import { type Endpoint, parseEndpoint } from '../endpoint.ts'
import { parseRelayName, type RelayName } from '../relay-name.ts'
import { parseNumber, splitFields } from '../text.ts'
import type { Open } from './open.ts'

/** A TLS connection to a relay, as ORCONN events and `GETINFO orconn-status` tell it (control-spec 4.1.3). */
export interface OrConnection {
  /** Undefined until the relay is known. */
  readonly relay: RelayName | undefined
  /** Given instead of the relay while that is not known. */
  readonly address: Endpoint | undefined
  readonly status: Open<'NEW' | 'LAUNCHED' | 'CONNECTED' | 'FAILED' | 'CLOSED'>
  /** No diagnosis: a relay that was killed gives TLS_ERROR. */
  readonly reason: string | undefined
  /** Circuits on it, built and pending. */
  readonly circuits: number | undefined
  readonly id: string | undefined
}

/** Undefined when the name or the status is missing. */
export function parseOrConnection(text: string): OrConnection | undefined {
  const { words, values } = splitFields(text, 2)
  const [name, status] = words
  if (name === undefined || status === undefined) return undefined
  const relay = parseRelayName(name)
  return {
    relay,
    address: relay === undefined ? parseEndpoint(name) : undefined,
    status,
    reason: values.get('REASON'),
    circuits: parseNumber(values.get('NCIRCS')),
    id: values.get('ID'),
  }
}
