import type { Exit } from '../domain/worker.ts'
import type { SessionName } from './session.ts'

/** Where an answer came from. */
export interface Origin {
  readonly worker: string
  readonly exit: Exit | undefined
  /** The exit rule by which it was chosen. */
  readonly rule: string
}

/** What a session is at every replica, and what is left of it after a restart. Instants are wall-clock milliseconds. */
export interface SharedSession {
  /** Undefined until the first worker is chosen. */
  readonly worker: string | undefined
  readonly generation: number
  readonly createdAt: number
  /** When it got its present identity. */
  readonly bornAt: number
  /** Somebody uses it since then: it may be later by as much as `tellEveryMs`. */
  readonly lastUsedAt: number
  readonly idleMs: number
  /** Somebody has ended it: it is remembered for its generation. */
  readonly isOver: boolean
  readonly last: Origin | undefined
  /** Fingerprints of the exits that answers of late came by. */
  readonly recentExits: readonly string[]
}

export interface SharedListing {
  /** The caller's id; all of them when left out. */
  readonly owner: string | undefined
  readonly limit: number
  isKnown(id: string): boolean
}

/**
 * Where sessions are that others know, too: other replicas, or this one before it was restarted. Nothing in it takes time nor throws:
 * everything is at hand. What is written last holds.
 */
export interface SessionShare {
  /** What stands for the name: nobody can tell the name from it. */
  idOf(name: SessionName): string
  read(id: string): SharedSession | undefined
  /** Of what would be read: free to call. */
  progressOf(id: string): SessionProgress | undefined
  /** Whether there is nothing to be read at all. */
  readonly isEmpty: boolean
  /** Whether it is worth its while to write such a session. */
  keeps(session: SessionProgress): boolean
  write(id: string, name: SessionName, session: SharedSession): void
  forget(id: string): void
  /** Of those that are not known already and have not ended, the ones that were used last. In no order. */
  list(wanted: SharedListing): readonly (SessionName & SharedSession)[]
  /** Told of the id of each that another replica has written or forgotten. */
  onChange(listener: (id: string) => void): Disposable
}

/**
 * Whether what is `told` puts an end to what is known: an identity that was renewed never comes back, and a session that was ended
 * never goes on, whatever was written after that by who did not know.
 */
export function supersedes(told: SessionProgress, known: SessionProgress): boolean {
  if (told.generation !== known.generation) return told.generation > known.generation
  return told.isOver && !known.isOver
}

/** How far a key has come. */
export type SessionProgress = Pick<SharedSession, 'generation' | 'isOver'>

const MOST_TELL_EVERY_MS = 60_000
const LEAST_TELL_EVERY_MS = 1_000

/** So often it is told that a session is used: others know it as late, and give it as much time before they take it for ended. */
export function tellEveryMs(idleMs: number): number {
  return Math.min(MOST_TELL_EVERY_MS, Math.max(LEAST_TELL_EVERY_MS, idleMs / 4))
}
