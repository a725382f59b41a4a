import { type Endpoint, parseEndpoint } from '../endpoint.ts'
import { parseNumber, splitFields, splitList } from '../text.ts'
import type { Open } from './open.ts'

/** A stream, as STREAM events and `GETINFO stream-status` tell it (control-spec 4.1.2). */
export interface Stream {
  readonly id: string
  readonly status: Open<
    | 'NEW'
    | 'NEWRESOLVE'
    | 'REMAP'
    | 'SENTCONNECT'
    | 'SENTRESOLVE'
    | 'SUCCEEDED'
    | 'FAILED'
    | 'CLOSED'
    | 'DETACHED'
    | 'CONTROLLER_WAIT'
  >
  /** Undefined while the stream is on no circuit. */
  readonly circuitId: string | undefined
  readonly target: Endpoint
  readonly reason: string | undefined
  readonly remoteReason: string | undefined
  /** Who remapped the target. */
  readonly source: Open<'CACHE' | 'EXIT'> | undefined
  /** The client, in NEW and NEWRESOLVE events. */
  readonly sourceAddress: Endpoint | undefined
  readonly purpose: Open<'USER' | 'DNS_REQUEST' | 'DIR_FETCH' | 'DIR_UPLOAD' | 'DIRPORT_TEST'> | undefined
  readonly clientProtocol: Open<'SOCKS4' | 'SOCKS5' | 'TRANS' | 'NATD' | 'DNS' | 'HTTPCONNECT'> | undefined
  readonly nymEpoch: number | undefined
  readonly sessionGroup: number | undefined
  /** What the listener isolates by: the only proof that isolation is on. */
  readonly isoFields: readonly string[]
  readonly socksUsername: string | undefined
  readonly socksPassword: string | undefined
}

/** Undefined when the id, status, circuit or target is missing. */
export function parseStream(text: string): Stream | undefined {
  const { words, values } = splitFields(text, 4)
  const [id, status, circuitId, target] = words
  if (id === undefined || status === undefined || circuitId === undefined || target === undefined) return undefined
  const sourceAddress = values.get('SOURCE_ADDR')
  return {
    id,
    status,
    circuitId: circuitId === '0' ? undefined : circuitId,
    target: parseEndpoint(target),
    reason: values.get('REASON'),
    remoteReason: values.get('REMOTE_REASON'),
    source: values.get('SOURCE'),
    sourceAddress: sourceAddress === undefined ? undefined : parseEndpoint(sourceAddress),
    purpose: values.get('PURPOSE'),
    clientProtocol: values.get('CLIENT_PROTOCOL'),
    nymEpoch: parseNumber(values.get('NYM_EPOCH')),
    sessionGroup: parseNumber(values.get('SESSION_GROUP')),
    isoFields: splitList(values.get('ISO_FIELDS')),
    socksUsername: values.get('SOCKS_USERNAME'),
    socksPassword: values.get('SOCKS_PASSWORD'),
  }
}
