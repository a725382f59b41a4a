/** What replicas say to each other, as text: sealed, so that only who has the pool's secret can say or read it. */
import { isRecord, type Json, parsedJson } from '../lib/json.ts'
import type { Seal } from '../lib/seal.ts'
import type { Member } from './presence.ts'

export interface Message {
  readonly member: Member
  /** Counts up in each run: what was heard already is not heard again. */
  readonly number: number
  /** Kinds that a newer replica knows and this one does not are a sign of life and nothing else. */
  readonly kind: 'beat' | 'tell' | 'bye' | 'unknown'
  readonly topics: Readonly<Record<string, Json>>
}

const KINDS: readonly unknown[] = ['beat', 'tell', 'bye'] satisfies readonly Message['kind'][]

/** `context`: the channel that it is said on. */
export function writeMessage(message: Message, seal: Seal, context: string): string {
  return seal.seal(context, JSON.stringify(message)).toString('base64')
}

/** Undefined when nobody of this pool has said it, or nobody that we understand. */
export function readMessage(text: string, seal: Seal, context: string): Message | undefined {
  const opened = seal.open(context, Buffer.from(text, 'base64'))
  if (opened === undefined) return undefined
  const value: unknown = parsedJson(opened.toString())
  if (!isRecord(value) || !isMember(value.member) || !isWhole(value.number)) return undefined
  const { replica, run, version, startedAt } = value.member
  return {
    member: { replica, run, version, startedAt },
    number: value.number,
    kind: isKind(value.kind) ? value.kind : 'unknown',
    topics: isTopics(value.topics) ? value.topics : {},
  }
}

function isMember(value: unknown): value is Member {
  if (!isRecord(value)) return false
  const { replica, run, version, startedAt } = value
  return (
    isName(replica) && isName(run) && typeof version === 'string' && version.length <= MOST_NAME && isWhole(startedAt)
  )
}

const MOST_NAME = 128

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MOST_NAME
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isKind(value: unknown): value is Message['kind'] {
  return KINDS.includes(value)
}

/** What was read as JSON is JSON all the way down. */
function isTopics(value: unknown): value is Readonly<Record<string, Json>> {
  return isRecord(value)
}
