import type { Exit } from './domain/worker.ts'
import type { SessionName } from './fetch/session.ts'
import type { Origin, SharedSession } from './fetch/session-share.ts'
import { isRecord, parsedJson } from './lib/json.ts'

/** What is kept of a session beside what stores look at. It is to be sealed: the sticky key is in it, and where it came out. */
export type SessionLabel = SessionName & Pick<SharedSession, 'idleMs' | 'bornAt' | 'last' | 'recentExits'>

export function labelText({ owner, key, idleMs, bornAt, last, recentExits }: SessionLabel): string {
  return JSON.stringify({ owner, key, idleMs, bornAt, last, recentExits })
}

/** Undefined when there is no name in it. Of another version, what is not known is left out, and what is missing has a default. */
export function parseLabel(text: string): (SessionName & Partial<SessionLabel>) | undefined {
  const label = parsedJson(text)
  if (!isRecord(label)) return undefined
  const { owner, key, idleMs, bornAt, last, recentExits } = label
  if (typeof owner !== 'string' || typeof key !== 'string') return undefined
  const origin = originOf(last)
  return {
    ...{ owner, key },
    ...(isAmount(idleMs) && { idleMs }),
    ...(isAmount(bornAt) && { bornAt }),
    ...(origin && { last: origin }),
    ...(Array.isArray(recentExits) && { recentExits: recentExits.filter((exit) => typeof exit === 'string') }),
  }
}

function originOf(value: unknown): Origin | undefined {
  if (!isRecord(value)) return undefined
  const { worker, exit, rule } = value
  return typeof worker === 'string' && typeof rule === 'string' ? { worker, exit: exitOf(exit), rule } : undefined
}

function exitOf(value: unknown): Exit | undefined {
  if (!isRecord(value)) return undefined
  const { nickname, fingerprint, address, country } = value
  if (typeof nickname !== 'string' || typeof fingerprint !== 'string') return undefined
  return {
    ...{ nickname, fingerprint },
    ...(typeof address === 'string' && { address }),
    ...(typeof country === 'string' && { country }),
  }
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
