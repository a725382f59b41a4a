import type { Identities } from './domain/identity.ts'
import type { DesiredState, HealthState } from './domain/worker.ts'
import type { SessionName } from './fetch/session.ts'
import type { SessionProgress, SessionShare, SharedListing, SharedSession } from './fetch/session-share.ts'
import type { Clock } from './lib/clock.ts'
import type { Random } from './lib/random.ts'
import { Seal } from './lib/seal.ts'
import { labelText, parseLabel } from './service-session-label.ts'
import type { Store, StoredSession } from './store/store.ts'

export interface SessionStoreOptions {
  readonly store: Pick<Store, 'session' | 'sessions' | 'setSession' | 'forgetSessions' | 'onChanged'>
  /** Whether other replicas read and write it: then all sessions are in it, and are at hand there. */
  readonly isShared: boolean
  readonly identities: Pick<Identities, 'sessionId'>
  /** The pool's, of which labels are sealed by. */
  readonly secret: Buffer
  readonly clock: Clock
  readonly random: Pick<Random, 'bytes'>
  /** Writes, and shows it when that fails. */
  keep(write: () => void): void
}

/** Sessions that have ended are remembered for their generation for a day, by either store. */
const REMEMBERED_MS = 86_400_000
/** What a crash may forget. */
const SAVE_AFTER_MS = 200
const SWEEP_EVERY_MS = 3_600_000
/** Of those that are kept in memory. */
const CAPACITY = 100_000
/** What nobody has room for any more is forgotten by all so much later: a removal would have to be remembered for longer. */
const FORGOTTEN_AFTER_MS = 5 * 60_000
const NOBODY = ''
/** As long as nobody knows better. */
const IDLE_MS = 30 * 60_000

/**
 * Sessions in the store. In one that replicas share, all of them are; in the embedded one those whose identity was renewed, so that no
 * identity that was left comes back with a restart: the others are by their key what they were. Dispose it before the store, to have
 * the rest written down.
 */
export class StoredSessions implements SessionShare, Disposable {
  readonly #options: SessionStoreOptions
  readonly #seal: Seal
  /** Of the embedded store, all that is in it: a request waits for no file. */
  readonly #kept = new Map<string, StoredSession>()
  /** Of a store that is shared, those that have not ended, and whose they are where that is known; the one that was written last is last. */
  readonly #listed = new Map<string, string | undefined>()
  readonly #unsaved = new Set<string>()
  readonly #ends = new DisposableStack()
  #saving: Disposable | undefined
  #sweeping: Disposable | undefined

  constructor(options: SessionStoreOptions) {
    this.#options = options
    this.#seal = new Seal(options.secret, 'session labels', options.random)
    const { store, isShared } = options
    if (isShared) {
      for (const [id, session] of [...store.sessions()].sort(([, a], [, b]) => a.endsAt - b.endsAt))
        this.#note(id, session)
      this.#ends.use(this.onChange((id) => this.#note(id, store.session(id))))
      return
    }
    this.#sweep()
    const kept = [...store.sessions()].sort(([, a], [, b]) => b.endsAt - a.endsAt)
    for (const [id, session] of kept.slice(0, CAPACITY)) this.#kept.set(id, session)
  }

  idOf({ owner, key }: SessionName): string {
    return this.#options.identities.sessionId(owner, key)
  }

  read(id: string): SharedSession | undefined {
    const stored = this.#stored(id)
    return stored && this.#opened(id, stored)
  }

  progressOf(id: string): SessionProgress | undefined {
    const stored = this.#stored(id)
    return stored && { generation: stored.generation, isOver: isOver(stored) }
  }

  get isEmpty(): boolean {
    return !this.#options.isShared && this.#kept.size === 0
  }

  keeps({ generation, isOver }: SessionProgress): boolean {
    return this.#options.isShared || generation > 0 || isOver
  }

  write(id: string, { owner, key }: SessionName, session: SharedSession): void {
    const { worker, generation, createdAt, lastUsedAt, idleMs } = session
    const text = labelText({ ...session, owner, key })
    this.#set(id, {
      ...{
        worker: worker === undefined || session.isOver ? NOBODY : worker,
        generation,
        createdAt: Math.round(createdAt),
      },
      endsAt: Math.round(session.isOver ? this.#options.clock.now() : lastUsedAt + idleMs),
      label: this.#seal.seal(id, text),
    })
  }

  forget(id: string): void {
    const stored = this.#stored(id)
    if (stored === undefined) return
    const endsAt = this.#options.clock.now() - REMEMBERED_MS + FORGOTTEN_AFTER_MS
    this.#set(id, this.#options.isShared ? { ...stored, endsAt } : undefined)
  }

  list({ owner, limit, isKnown }: SharedListing): readonly (SessionName & SharedSession)[] {
    const now = this.#options.clock.now()
    const found: (SessionName & SharedSession)[] = []
    for (const [id, whose] of [...this.#listed].reverse()) {
      if (found.length >= limit) break
      if (isKnown(id) || (owner !== undefined && whose !== undefined && whose !== owner)) continue
      const stored = this.#stored(id)
      const label = stored && this.#label(id, stored)
      if (stored === undefined || label === undefined || isOver(stored) || stored.endsAt <= now) {
        this.#listed.delete(id)
        continue
      }
      this.#listed.set(id, label.owner)
      if (owner === undefined || label.owner === owner)
        found.push({ owner: label.owner, key: label.key, ...this.#opened(id, stored, label) })
    }
    return found
  }

  onChange(listener: (id: string) => void): Disposable {
    return this.#options.store.onChanged((change) => {
      if (change.what === 'session') listener(change.hash)
    })
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
    this.#sweeping?.[Symbol.dispose]()
    this.#save()
  }

  #stored(id: string): StoredSession | undefined {
    return this.#options.isShared ? this.#options.store.session(id) : this.#kept.get(id)
  }

  #set(id: string, session: StoredSession | undefined): void {
    const { isShared, keep, store, clock } = this.#options
    if (isShared) {
      this.#note(id, session)
      keep(() => store.setSession(id, session))
      return
    }
    if (session === undefined) this.#kept.delete(id)
    else this.#kept.set(id, session)
    this.#unsaved.add(id)
    this.#saving ??= clock.timer(SAVE_AFTER_MS, () => this.#save())
  }

  #note(id: string, session: StoredSession | undefined): void {
    const owner = this.#listed.get(id)
    this.#listed.delete(id)
    if (session !== undefined && !isOver(session) && session.endsAt > this.#options.clock.now())
      this.#listed.set(id, owner)
    const [oldest] = this.#listed.keys()
    if (this.#listed.size > CAPACITY && oldest !== undefined) this.#listed.delete(oldest)
  }

  #save(): void {
    this.#saving?.[Symbol.dispose]()
    this.#saving = undefined
    if (this.#unsaved.size === 0) return
    const unsaved = [...this.#unsaved]
    this.#unsaved.clear()
    const { keep, store } = this.#options
    keep(() => {
      for (const id of unsaved) store.setSession(id, this.#kept.get(id))
    })
  }

  #sweep(): void {
    const { keep, store, clock } = this.#options
    const before = clock.now() - REMEMBERED_MS
    for (const [id, { endsAt }] of this.#kept) if (endsAt < before) this.#kept.delete(id)
    keep(() => store.forgetSessions(before))
    this.#sweeping = clock.timer(SWEEP_EVERY_MS, () => this.#sweep())
  }

  #label(id: string, { label }: StoredSession) {
    const text = label && this.#seal.open(id, label)
    return text && parseLabel(text.toString())
  }

  #opened(id: string, stored: StoredSession, label = this.#label(id, stored)): SharedSession {
    const { generation, createdAt, endsAt } = stored
    const { idleMs = IDLE_MS, bornAt = createdAt, last, recentExits = [] } = label ?? {}
    return {
      ...{ generation, createdAt, idleMs, bornAt, recentExits, isOver: isOver(stored) },
      worker: isOver(stored) ? undefined : stored.worker,
      lastUsedAt: endsAt - idleMs,
      last,
    }
  }
}

/**
 * A service that has just started learns within that which of its workers are well, and which ones others have. It is less than what
 * requests wait in line, so that none is refused for it: who still waits then goes elsewhere.
 */
const COMING_MS = 4_500

/**
 * Whether a session is to wait for its worker rather than move away from it: as long as the service has just started and does not know
 * yet what became of that one.
 */
export function workersToCome(
  pool: {
    has(id: string): boolean
    get(id: string): { readonly desired: DesiredState; readonly health: HealthState }
  },
  clock: Pick<Clock, 'monotonic'>,
  isShared: boolean,
): (workerId: string) => boolean {
  const until = clock.monotonic() + COMING_MS
  return (workerId) => {
    if (clock.monotonic() >= until) return false
    if (!pool.has(workerId)) return isShared
    const { desired, health } = pool.get(workerId)
    return desired === 'enabled' && health === 'starting'
  }
}

/** One that was ended has no worker any more; one that never had any is not written. */
function isOver({ worker }: StoredSession): boolean {
  return worker === NOBODY
}
