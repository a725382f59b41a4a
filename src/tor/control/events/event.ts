import type { ReplyLine } from '../reply.ts'
import { splitFields } from '../text.ts'
import { type BuildTimeout, parseBuildTimeout } from './build-timeout.ts'
import { type Circuit, type CircuitChange, parseCircuit, parseCircuitChange } from './circuit.ts'
import { type GuardChange, parseGuardChange } from './guard.ts'
import type { Open } from './open.ts'
import { type OrConnection, parseOrConnection } from './or-connection.ts'
import { parseStatus, type Status } from './status.ts'
import { parseStream, type Stream } from './stream.ts'

/** What Tor tells unasked (control-spec 4.1), by the event's own keyword. */
export type ControlEvent =
  | ({ readonly type: 'CIRC' } & Circuit)
  | ({ readonly type: 'CIRC_MINOR' } & CircuitChange)
  | ({ readonly type: 'STREAM' } & Stream)
  | ({ readonly type: 'ORCONN' } & OrConnection)
  | ({ readonly type: 'GUARD' } & GuardChange)
  | ({ readonly type: 'STATUS_CLIENT' | 'STATUS_GENERAL' | 'STATUS_SERVER' } & Status)
  | ({ readonly type: 'BUILDTIMEOUT_SET' } & BuildTimeout)
  | { readonly type: 'SIGNAL'; readonly signal: Open<'RELOAD' | 'DUMP' | 'DEBUG' | 'NEWNYM' | 'CLEARDNSCACHE'> }
  | { readonly type: 'NETWORK_LIVENESS'; readonly status: Open<'UP' | 'DOWN'> }
  | OtherEvent

/** An event of a kind that is not taken apart here, or that lacks what its kind must have. */
export interface OtherEvent {
  readonly type: 'other'
  readonly keyword: string
  readonly lines: readonly ReplyLine[]
}

export type EventType = ControlEvent['type']
export type EventOf<T extends EventType> = Extract<ControlEvent, { readonly type: T }>

/** Total: what cannot be understood is given as it came. */
export function parseEvent(lines: readonly ReplyLine[]): ControlEvent {
  // Lines after the first hold more fields of the same event (control-spec 4.1).
  const text = lines.map((line) => line.text).join(' ')
  const [keyword = ''] = text.split(' ', 1)
  return parseKnown(keyword, text.slice(keyword.length + 1)) ?? { type: 'other', keyword, lines }
}

function parseKnown(keyword: string, text: string): ControlEvent | undefined {
  switch (keyword) {
    case 'CIRC':
      return tagged(keyword, parseCircuit(text))
    case 'CIRC_MINOR':
      return tagged(keyword, parseCircuitChange(text))
    case 'STREAM':
      return tagged(keyword, parseStream(text))
    case 'ORCONN':
      return tagged(keyword, parseOrConnection(text))
    case 'GUARD':
      return tagged(keyword, parseGuardChange(text))
    case 'STATUS_CLIENT':
    case 'STATUS_GENERAL':
    case 'STATUS_SERVER':
      return tagged(keyword, parseStatus(text))
    case 'BUILDTIMEOUT_SET':
      return tagged(keyword, parseBuildTimeout(text))
    case 'SIGNAL': {
      const [signal] = splitFields(text, 1).words
      return signal === undefined ? undefined : { type: keyword, signal }
    }
    case 'NETWORK_LIVENESS': {
      const [status] = splitFields(text, 1).words
      return status === undefined ? undefined : { type: keyword, status }
    }
    default:
      return undefined
  }
}

function tagged<const K extends string, T extends object>(type: K, parsed: T | undefined) {
  return parsed && { type, ...parsed }
}
