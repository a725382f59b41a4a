/** An event as it lies in the store: sealed, so that only who has the pool's secret can say or read it. */
import { EVENT_TYPES, type RecordedEvent, SEVERITIES, type ServiceEvent } from '../domain/events.ts'
import { isRecord } from '../lib/json.ts'
import type { Seal } from '../lib/seal.ts'

/** Its id is the replica's own, and means nothing elsewhere. */
export type SharedEvent = Omit<RecordedEvent, 'id' | 'replica'>

export interface EventMessage {
  /** Where it happened, by its name. */
  readonly replica: string
  /** Of which run of it. */
  readonly run: string
  /** Counts up in each run: what was heard already is not heard again. */
  readonly number: number
  /** Undefined: of a type that a newer replica knows and this one does not. */
  readonly event: SharedEvent | undefined
}

/** `context`: the key of the stream. */
export function writeEvent(
  message: EventMessage & { readonly event: SharedEvent },
  seal: Seal,
  context: string,
): string {
  return seal.seal(context, JSON.stringify(message)).toString('base64')
}

/** Undefined when nobody of this pool has written it, or nobody that we understand. */
export function readEvent(text: string, seal: Seal, context: string): EventMessage | undefined {
  const opened = seal.open(context, Buffer.from(text, 'base64'))
  if (opened === undefined) return undefined
  const value: unknown = JSON.parse(opened.toString())
  if (!isRecord(value)) return undefined
  const { replica, run, number, event } = value
  if (typeof replica !== 'string' || typeof run !== 'string' || typeof number !== 'number') return undefined
  return { replica, run, number, event: isRecord(event) ? sharedEvent(event) : undefined }
}

function sharedEvent({ at, severity, text, event }: Readonly<Record<string, unknown>>): SharedEvent | undefined {
  const known = SEVERITIES.find((each) => each === severity)
  if (typeof at !== 'number' || known === undefined || typeof text !== 'string' || !isEvent(event)) return undefined
  return { at, severity: known, text, event }
}

/** The fields are as the replica that has it wrote them, which is of the same major version. */
function isEvent(value: unknown): value is ServiceEvent {
  return isRecord(value) && (EVENT_TYPES as readonly unknown[]).includes(value.type)
}
