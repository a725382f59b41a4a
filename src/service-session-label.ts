import type { Exit } from './domain/worker.ts'
import type { SessionName } from './fetch/session.ts'
import type { Origin, SharedSession } from './fetch/session-share.ts'

/** What is kept of a session beside what stores look at. It is to be sealed: the sticky key is in it, and where it came out. */
export type SessionLabel = SessionName & Pick<SharedSession, 'idleMs' | 'bornAt' | 'last' | 'recentExits'>

export function labelText({ owner, key, idleMs, bornAt, last, recentExits }: SessionLabel): string {
  return JSON.stringify({ owner, key, idleMs, bornAt, last, recentExits })
}

/** Undefined when there is no name in it. Of another version, what is not known is left out, and what is missing has a default. */
export function parseLabel(text: string): (SessionName & Partial<SessionLabel>) | undefined {
  const label = recordOf(parsed(text))
  if (label === undefined) return undefined
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
  const { worker, exit, rule } = recordOf(value) ?? {}
  return typeof worker === 'string' && typeof rule === 'string' ? { worker, exit: exitOf(exit), rule } : undefined
}

function exitOf(value: unknown): Exit | undefined {
  const { nickname, fingerprint, address, country } = recordOf(value) ?? {}
  if (typeof nickname !== 'string' || typeof fingerprint !== 'string') return undefined
  return {
    ...{ nickname, fingerprint },
    ...(typeof address === 'string' && { address }),
    ...(typeof country === 'string' && { country }),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function recordOf(value: unknown): { readonly [name: string]: unknown } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
