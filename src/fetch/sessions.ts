import { CbtorError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import { Session, type SessionName, type SessionOptions, type SessionView } from './session.ts'
import { type SessionShare, type SharedSession, supersedes } from './session-share.ts'

export interface SessionsOptions {
  readonly clock: Clock
  /** How long a session may go unused before it ends, unless its requests say otherwise. */
  readonly idleMs?: number
  /** How long it keeps one identity: it then goes on under a new one. No request may ask for a longer idle time. */
  readonly maxAgeMs?: number
  /** How many are remembered; beyond, of the owner who has the most, the one that was not used for longest is forgotten. */
  readonly capacity?: number
  /** What others know of them; when left out, nobody knows of them but these. */
  readonly share?: SessionShare
}

export interface SessionsWanted {
  readonly owner?: string
  readonly limit?: number
}

const IDLE_MS = 30 * 60_000
const MAX_AGE_MS = 24 * 3_600_000
const CAPACITY = 100_000
/** So often others are told of sessions that a request has been using since then. */
const TELL_OF_USE_EVERY_MS = 15_000

/**
 * The sessions of all sticky keys, in memory: without a share, a key begins anew after a restart, on the worker that its hash chooses
 * and with the identity of generation 0. Ended ones are remembered for their generation, as long as there is room, so that
 * a key that comes back gets a fresh identity. What is over is found out when somebody looks.
 *
 * With a share, a key has the same worker and identity wherever the share is known: what is not at hand is read from it, what changes
 * is written to it, and what others change holds here, too. Where two change the same session at once, the higher generation holds,
 * then an end, then what was written last.
 */
export class Sessions implements Disposable {
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #maxAgeMs: number
  readonly #capacity: number
  /** The one that was not used for longest is first. */
  readonly #byName = new Map<string, Session>()
  /** The names of each owner's, in the same order: no owner loses any as long as another one has more. */
  readonly #byOwner = new Map<string, Set<string>>()
  /** The texts of their names, by what stands for them in the share. */
  readonly #byId = new Map<string, string>()
  readonly #share: SessionShare | undefined
  readonly #superseded = new Listeners<Session>((error) => {
    throw error
  })
  readonly #onNews = (session: Session) => this.#tell(session)
  readonly #ends = new DisposableStack()
  #timer: Disposable | undefined

  constructor(options: SessionsOptions) {
    this.#clock = options.clock
    this.#idleMs = options.idleMs ?? IDLE_MS
    this.#maxAgeMs = options.maxAgeMs ?? MAX_AGE_MS
    this.#capacity = options.capacity ?? CAPACITY
    this.#share = options.share
    if (this.#share === undefined) return
    this.#ends.use(this.#share.onChange((id) => this.#heard(id)))
    this.#ends.defer(() => this.#timer?.[Symbol.dispose]())
    this.#tellOfUse()
  }

  /** Told of a session that nobody is any more, since it was renewed or ended elsewhere. Dispose to stop listening. */
  onSuperseded(listener: (session: Session) => void): Disposable {
    return this.#superseded.add(listener)
  }

  /** How many are known here that have not ended. */
  get size(): number {
    let size = 0
    for (const session of this.#byName.values()) if (!session.hasEnded) size++
    return size
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
    const others = this.#share?.list({ owner, limit, isKnown: (id) => this.#byId.has(id) }) ?? []
    if (others.length === 0) return views
    for (const { owner, key, ...told } of others) views.push(this.#made({ owner, key }, this.#ofShare(told)).view())
    return views.sort((a, b) => b.lastUsedAt - a.lastUsedAt).slice(0, limit)
  }

  find(name: SessionName): SessionView | undefined {
    const session = this.#known(name)
    return session === undefined || session.hasEnded ? undefined : session.view()
  }

  /** Throws `session_not_found`. */
  get(name: SessionName): SessionView {
    return this.current(name).view()
  }

  /** The session itself, if it goes on. Throws `session_not_found`. */
  current(name: SessionName): Session {
    const session = this.#known(name)
    if (session !== undefined && !session.hasEnded) return session
    throw new CbtorError('session_not_found', 'Cannot find the session: no session has this sticky key')
  }

  /** The generation of the identity that the key has now, session or not. */
  generationOf(name: SessionName): number {
    const session = this.#known(name)
    return session === undefined ? 0 : session.generation + (session.hasEnded ? 1 : 0)
  }

  /** The session of the key for its next request: the one that goes on, or a new one. */
  open(name: SessionName): Session {
    const session = this.#forNext(name)
    this.#toTheEnd(name, session)
    this.#makeRoom()
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
    const session = this.#made(name, { ...this.#next(old), createdAt, worker, idleMs })
    this.#byName.set(textOf(name), session)
    this.#tell(session)
    return session.view()
  }

  /** Ends the session: the next request of the key begins another one. Throws `session_not_found`. */
  end(name: SessionName): void {
    const session = this.current(name)
    session.end()
    this.#tell(session)
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
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

  /** What is known of the key, here or by the share. */
  #known(name: SessionName): Session | undefined {
    const session = this.#byName.get(textOf(name))
    if (session !== undefined || this.#share === undefined || this.#share.isEmpty) return session
    const id = this.#share.idOf(name)
    const told = this.#share.read(id)
    if (told === undefined) return undefined
    const shared = this.#made(name, this.#ofShare(told))
    shared.sharedId = id
    this.#byId.set(id, textOf(name))
    this.#toTheEnd(name, shared)
    this.#makeRoom()
    return shared
  }

  #made(name: SessionName, options: SessionOptions): Session {
    if (this.#share === undefined) return new Session(name, options)
    return new Session(name, { ...options, onNews: this.#onNews })
  }

  #ofShare(told: SharedSession): SessionOptions {
    const { generation, createdAt, worker, idleMs, last } = told
    return { clock: this.#clock, generation, createdAt, worker, idleMs, last, told }
  }

  /** Has others know the session, unless they know better. */
  #tell(session: Session): void {
    const { name } = session
    const text = textOf(name)
    if (this.#share?.keeps(session) !== true || this.#byName.get(text) !== session) return
    const id = session.sharedId ?? this.#share.idOf(name)
    session.sharedId = id
    this.#byId.set(id, text)
    const known = this.#share.progressOf(id)
    if (known !== undefined && supersedes(known, session)) this.#supersede(id, session)
    else this.#share.write(id, name, session.tell())
  }

  /** Another replica has changed something. */
  #heard(id: string): void {
    const text = this.#byId.get(id)
    const session = text === undefined ? undefined : this.#byName.get(text)
    if (session === undefined) return
    const progress = this.#share?.progressOf(id)
    if (progress === undefined) {
      if (!session.hasEnded) this.#tell(session)
    } else if (supersedes(progress, session)) this.#supersede(id, session)
    else if (supersedes(session, progress)) this.#tell(session)
    else {
      const told = this.#share?.read(id)
      if (told !== undefined) session.hear(told)
    }
  }

  /** The key goes on as the share knows it, once somebody asks for it. */
  #supersede(id: string, session: Session): void {
    const { name } = session
    session.end()
    this.#byName.delete(textOf(name))
    this.#byId.delete(id)
    const own = this.#byOwner.get(name.owner)
    own?.delete(textOf(name))
    if (own?.size === 0) this.#byOwner.delete(name.owner)
    this.#superseded.notify(session)
  }

  #tellOfUse(): void {
    this.#timer = this.#clock.timer(TELL_OF_USE_EVERY_MS, () => {
      for (const session of this.#byName.values()) session.tellOfUse()
      this.#tellOfUse()
    })
  }

  #makeRoom(): void {
    if (this.#byName.size > this.#capacity) this.#forgetOne()
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
    const gone = this.#byName.get(oldest)
    this.#byName.delete(oldest)
    if (this.#share === undefined || gone === undefined) return
    const id = gone.sharedId
    if (id !== undefined && this.#byId.delete(id)) this.#share.forget(id)
  }

  #forNext(name: SessionName): Session {
    const session = this.#known(name)
    if (session === undefined) {
      return this.#made(name, { clock: this.#clock, idleMs: this.#idleMs, generation: 0 })
    }
    if (session.hasEnded) return this.#made(name, this.#next(session))
    if (session.ageMs < this.#maxAgeMs) return session
    // Nobody asked for this change, so the caller is told of the other exit.
    const { createdAt, worker, idleMs, last } = session
    const renewed = this.#made(name, { ...this.#next(session), createdAt, worker, idleMs, last })
    this.#byName.set(textOf(name), renewed)
    this.#tell(renewed)
    return renewed
  }

  #next({ generation }: Session) {
    return { clock: this.#clock, idleMs: this.#idleMs, generation: generation + 1 }
  }
}

/** An owner's id has no blank in it, so that no two names have the same text. */
function textOf({ owner, key }: SessionName): string {
  return `${owner} ${key}`
}
