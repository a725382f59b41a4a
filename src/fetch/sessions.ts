import { CbtorError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { Session, type SessionName, type SessionView } from './session.ts'

export interface SessionsOptions {
  readonly clock: Clock
  /** How long a session may go unused before it ends, unless its requests say otherwise. */
  readonly idleMs?: number
  /** How long it keeps one identity: it then goes on under a new one. No request may ask for a longer idle time. */
  readonly maxAgeMs?: number
  /** How many are remembered; beyond, of the owner who has the most, the one that was not used for longest is forgotten. */
  readonly capacity?: number
}

export interface SessionsWanted {
  readonly owner?: string
  readonly limit?: number
}

const IDLE_MS = 30 * 60_000
const MAX_AGE_MS = 24 * 3_600_000
const CAPACITY = 100_000

/**
 * The sessions of all sticky keys, in memory: after a restart a key begins anew, on the worker that its hash chooses and
 * with the identity of generation 0. Ended ones are remembered for their generation, as long as there is room, so that
 * a key that comes back gets a fresh identity. No timers: what is over is found out when somebody looks.
 */
export class Sessions {
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #maxAgeMs: number
  readonly #capacity: number
  /** The one that was not used for longest is first. */
  readonly #byName = new Map<string, Session>()
  /** The names of each owner's, in the same order: no owner loses any as long as another one has more. */
  readonly #byOwner = new Map<string, Set<string>>()

  constructor(options: SessionsOptions) {
    this.#clock = options.clock
    this.#idleMs = options.idleMs ?? IDLE_MS
    this.#maxAgeMs = options.maxAgeMs ?? MAX_AGE_MS
    this.#capacity = options.capacity ?? CAPACITY
  }

  /** Those that have not ended, the one that was used last first: of one owner or of all, and no more than `limit`. */
  list({ owner, limit = Number.POSITIVE_INFINITY }: SessionsWanted = {}): readonly SessionView[] {
    const names = owner === undefined ? this.#byName.keys() : (this.#byOwner.get(owner) ?? [])
    const views: SessionView[] = []
    for (const name of [...names].reverse()) {
      if (views.length >= limit) break
      const session = this.#byName.get(name)
      if (session !== undefined && !session.hasEnded) views.push(session.view())
    }
    return views
  }

  find(name: SessionName): SessionView | undefined {
    const session = this.#byName.get(textOf(name))
    return session === undefined || session.hasEnded ? undefined : session.view()
  }

  /** Throws `session_not_found`. */
  get(name: SessionName): SessionView {
    return this.current(name).view()
  }

  /** The session itself, if it goes on. Throws `session_not_found`. */
  current(name: SessionName): Session {
    const session = this.#byName.get(textOf(name))
    if (session !== undefined && !session.hasEnded) return session
    throw new CbtorError('session_not_found', 'Cannot find the session: no session has this sticky key')
  }

  /** The generation of the identity that the key has now, session or not. */
  generationOf(name: SessionName): number {
    const session = this.#byName.get(textOf(name))
    return session === undefined ? 0 : session.generation + (session.hasEnded ? 1 : 0)
  }

  /** The session of the key for its next request: the one that goes on, or a new one. */
  open(name: SessionName): Session {
    const session = this.#forNext(name)
    this.#toTheEnd(name, session)
    if (this.#byName.size > this.#capacity) this.#forgetOne()
    return session
  }

  /** What a request may ask for as its session's idle time. */
  idleLimit(ms: number | undefined): number | undefined {
    return ms === undefined ? undefined : Math.min(ms, this.#maxAgeMs)
  }

  /** Renews the identity, hence the circuit, on the same worker. Throws `session_not_found`. */
  rotate(name: SessionName): SessionView {
    const old = this.current(name)
    old.end()
    const { createdAt, worker, idleMs } = old
    const session = new Session(name, { ...this.#next(old), createdAt, worker, idleMs })
    this.#byName.set(textOf(name), session)
    return session.view()
  }

  /** Ends the session: the next request of the key begins another one. Throws `session_not_found`. */
  end(name: SessionName): void {
    this.current(name).end()
  }

  #toTheEnd(name: SessionName, session: Session): void {
    const text = textOf(name)
    this.#byName.delete(text)
    this.#byName.set(text, session)
    const own = this.#byOwner.get(name.owner) ?? new Set()
    own.delete(text)
    own.add(text)
    this.#byOwner.set(name.owner, own)
  }

  #forgetOne(): void {
    let [most] = this.#byOwner
    for (const entry of this.#byOwner) if (most === undefined || entry[1].size > most[1].size) most = entry
    if (most === undefined) return
    const [owner, own] = most
    const [oldest] = own
    if (oldest === undefined) return
    own.delete(oldest)
    if (own.size === 0) this.#byOwner.delete(owner)
    this.#byName.delete(oldest)
  }

  #forNext(name: SessionName): Session {
    const session = this.#byName.get(textOf(name))
    if (session === undefined) {
      return new Session(name, { clock: this.#clock, idleMs: this.#idleMs, generation: 0 })
    }
    if (session.hasEnded) return new Session(name, this.#next(session))
    if (session.ageMs < this.#maxAgeMs) return session
    // Nobody asked for this change, so the caller is told of the other exit.
    const { createdAt, worker, idleMs, last } = session
    return new Session(name, { ...this.#next(session), createdAt, worker, idleMs, last })
  }

  #next({ generation }: Session) {
    return { clock: this.#clock, idleMs: this.#idleMs, generation: generation + 1 }
  }
}

/** An owner's id has no blank in it, so that no two names have the same text. */
function textOf({ owner, key }: SessionName): string {
  return `${owner} ${key}`
}
