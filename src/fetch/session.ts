import type { Caller } from '../domain/caller.ts'
import type { Identity } from '../domain/identity.ts'
import type { Exit } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { type Origin, type SharedSession, tellEveryMs } from './session-share.ts'

/** Sessions belong to callers: what two of them call by the same sticky key is two sessions. */
export interface SessionName {
  /** The caller's id. */
  readonly owner: string
  /** The caller's sticky key. */
  readonly key: string
}

/** The name of the session that `caller` calls by the sticky key; the service's own, such as of checks, have no caller. */
export function sessionName(caller: Pick<Caller, 'id'> | undefined, key: string): SessionName {
  return { owner: caller?.id ?? '', key }
}

/** A session as it is at one moment. Instants are wall-clock milliseconds. */
export interface SessionView extends SessionName {
  /** Undefined until the first worker is chosen. */
  readonly worker: string | undefined
  /** How often its identity was renewed. */
  readonly generation: number
  readonly createdAt: number
  readonly lastUsedAt: number
  /** When it will end if nobody uses it until then. */
  readonly endsAt: number
  /** Requests under the present identity. */
  readonly requests: number
  /** The last one that an answer came by; undefined before the first, and when nobody told by which the last answer came. */
  readonly exit: Exit | undefined
  /** Fingerprints of the exits that answers of late came by; the connections that they came on may stand yet. Sorted. */
  readonly recentExits: readonly string[]
  /** How often, under the present identity, an answer came from another worker or exit than the one before. */
  readonly moved: number
}

/** So long an exit counts as one of the session's: as long as Tor gives new streams to a circuit that is used, and a while. */
const RECENT_MS = 30 * 60_000
/** A session has one exit, or one for each rule and port; more than that is no session. */
const MAX_EXITS = 64
/** As many identities, which differ by their exit rules. */
const MAX_IDENTITIES = 64

/** Of those, others are told of so many. */
const MAX_EXITS_TOLD = 8

export interface SessionOptions {
  readonly clock: Clock
  /** How long it may go unused before it ends. */
  readonly idleMs: number
  readonly generation: number
  /** When the session began, if this is not its first identity. */
  readonly createdAt?: number
  readonly worker?: string | undefined
  /** Where the last answer came from, if the caller is to be told of a change. */
  readonly last?: Origin | undefined
  /** What others know of it: it goes on here. */
  readonly told?: SharedSession
  /** To be called when there is something that others have to know. */
  onNews?(session: Session): void
}

/**
 * What a sticky key holds on to while it has one identity. A renewed identity gets a new one of these: requests that
 * began under the old identity end with the old one and tell the new one nothing.
 */
export class Session {
  readonly name: SessionName
  readonly generation: number
  readonly createdAt: number
  /** What stands for its name where others know it, once they do. */
  sharedId: string | undefined
  readonly #clock: Clock
  /** By the monotonic clock, as is `#usedAt`. */
  readonly #bornAt: number
  #usedAt: number
  /** When another replica has told that it was used there, by the monotonic clock. */
  #heardAt = Number.NEGATIVE_INFINITY
  #lastUsedAt: number
  readonly #onNews: ((session: Session) => void) | undefined
  /** When others were told last, by the monotonic clock, and of which exit. */
  #toldAt = Number.NEGATIVE_INFINITY
  #exitTold: string | undefined
  #idleMs: number
  #requests = 0
  #moved = 0
  #active = 0
  #isOver = false
  readonly #identities = new Map<string, Identity>()
  /** When an answer last came by each exit, by the monotonic clock; the latest is last. */
  readonly #exits = new Map<string, number>()
  #onUnused = () => {}
  #worker: string | undefined
  #last: Origin | undefined
  #isSettled = false
  #isExitUnknown = false

  constructor(name: SessionName, options: SessionOptions) {
    const { clock, idleMs, generation, createdAt, worker, last, told } = options
    this.name = name
    this.generation = generation
    this.createdAt = createdAt ?? clock.now()
    this.#clock = clock
    this.#bornAt = this.#usedAt = clock.monotonic()
    this.#lastUsedAt = clock.now()
    this.#idleMs = idleMs
    this.#worker = worker
    this.#last = last
    this.#onNews = options.onNews
    if (told === undefined) return
    // Where clocks differ, nothing of it lies in the future.
    const sinceMs = (at: number) => Math.max(0, clock.now() - at)
    this.#bornAt -= sinceMs(told.bornAt)
    this.#usedAt = Number.NEGATIVE_INFINITY
    this.#lastUsedAt = 0
    this.#hear(told, clock.monotonic() - sinceMs(told.lastUsedAt))
    this.#isOver = told.isOver
  }

  /** The worker that its requests go through; undefined until the first is chosen. */
  get worker(): string | undefined {
    return this.#worker
  }

  /** Where the last answer came from. */
  get last(): Origin | undefined {
    return this.#last
  }

  get idleMs(): number {
    return this.#idleMs
  }

  /** Whether an answer has come under this identity: from then on, leaving the worker is a loss. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  get hasEnded(): boolean {
    if (this.#isOver || this.#active > 0) return this.#isOver
    const now = this.#clock.monotonic()
    if (now - this.#usedAt < this.#idleMs) return false
    return now - this.#heardAt >= this.#idleMs + tellEveryMs(this.#idleMs)
  }

  /** Whether somebody has ended it, or its identity. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** How long it has had this identity. */
  get ageMs(): number {
    return this.#clock.monotonic() - this.#bornAt
  }

  /** A request begins; dispose it when it ends. `idleMs` holds from now on. */
  use(idleMs = this.#idleMs): Disposable {
    this.#idleMs = idleMs
    this.#requests++
    this.#active++
    this.#touch()
    return {
      [Symbol.dispose]: () => {
        this.#active--
        this.#touch()
        if (this.#active === 0) this.#onUnused()
      },
    }
  }

  /** As whom its requests went: one, unless they demanded different exits. */
  get identities(): readonly Identity[] {
    return [...this.#identities.values()]
  }

  isKnownAs(identity: Identity): void {
    latest(this.#identities, identity.token, identity, MAX_IDENTITIES)
  }

  /** Calls back once none of its requests goes on any more. To be called once, when there will be no further ones. */
  whenUnused(callback: () => void): void {
    if (this.#active === 0) callback()
    else this.#onUnused = callback
  }

  end(): void {
    this.#isOver = true
  }

  /** Gives it its first worker, unless it has one. */
  place(worker: string): void {
    if (this.#worker !== undefined) return
    this.#worker = worker
    this.#onNews?.(this)
  }

  /**
   * An answer came from `worker`. The session moves there only when its own is among the `lost`, those that could not
   * take the request: so it moves when it must, and never back by itself. True when the caller sees another worker or
   * another exit than in the answer before, `rule`, the exit rule in words, being the same: or else that was asked for.
   */
  answered(worker: string, exit: Exit | undefined, lost: ReadonlySet<string>, rule = ''): boolean {
    const placed = this.#worker
    if (placed === undefined || lost.has(placed)) this.#worker = worker
    const last = this.#last
    const isElsewhere = last !== undefined && last.worker !== worker
    const isOtherExit = last?.exit !== undefined && exit !== undefined && last.exit.fingerprint !== exit.fingerprint
    const hasOtherExit = isOtherExit && last.rule === rule
    this.#last = { worker, exit: exit ?? (isElsewhere ? undefined : last?.exit), rule }
    this.#isSettled = true
    if (exit !== undefined) latest(this.#exits, exit.fingerprint, this.#clock.monotonic(), MAX_EXITS)
    if (exit !== undefined || isElsewhere) this.#isExitUnknown = false
    const isMoved = isElsewhere || hasOtherExit
    if (isMoved) this.#moved++
    if (this.#worker !== placed || (this.#exitTold === undefined && exit !== undefined)) this.#onNews?.(this)
    return isMoved
  }

  /** Another replica tells what has become of it there, under the same identity. */
  hear(told: SharedSession): void {
    this.#hear(told, this.#clock.monotonic())
  }

  /** What others are to know; as of now they do. */
  tell(): SharedSession {
    const { generation, createdAt, isOver } = this
    const now = this.#clock.monotonic()
    this.#toldAt = now
    this.#exitTold = this.#last?.exit?.fingerprint
    return {
      ...{ generation, createdAt, isOver, worker: this.#worker, last: this.#last, idleMs: this.#idleMs },
      bornAt: this.#clock.now() - (now - this.#bornAt),
      lastUsedAt: this.#lastUsedAt,
      recentExits: this.#recentExits().slice(-MAX_EXITS_TOLD),
    }
  }

  /** Others are told that it is used, if it is, and if they were not of late. */
  tellOfUse(): void {
    if (this.#active > 0) this.#touch()
  }

  /** Nobody told by which exit an answer came: it may have been another one than before. */
  cameByUnknownExit(): void {
    this.#isExitUnknown = true
  }

  view(): SessionView {
    const { name, generation, createdAt } = this
    return {
      ...{ ...name, generation, createdAt },
      worker: this.#worker,
      lastUsedAt: this.#lastUsedAt,
      endsAt: this.#lastUsedAt + this.#idleMs,
      requests: this.#requests,
      exit: this.#isExitUnknown ? undefined : this.#last?.exit,
      recentExits: this.#recentExits(),
      moved: this.#moved,
    }
  }

  #recentExits(): readonly string[] {
    const since = this.#clock.monotonic() - RECENT_MS
    return [...this.#exits].flatMap(([fingerprint, at]) => (at >= since ? [fingerprint] : [])).sort()
  }

  #touch(): void {
    this.#usedAt = this.#clock.monotonic()
    this.#lastUsedAt = this.#clock.now()
    if (this.#onNews === undefined || this.#worker === undefined) return
    if (this.#usedAt - this.#toldAt >= tellEveryMs(this.#idleMs)) this.#onNews(this)
  }

  /** `usedAt`: by the monotonic clock. */
  #hear({ worker, idleMs, lastUsedAt, last, recentExits }: SharedSession, usedAt: number): void {
    this.#heardAt = Math.max(this.#heardAt, usedAt)
    this.#toldAt = Math.max(this.#toldAt, usedAt)
    this.#idleMs = idleMs
    const now = this.#clock.monotonic()
    for (const fingerprint of recentExits) latest(this.#exits, fingerprint, now, MAX_EXITS)
    const isLatest = lastUsedAt >= this.#lastUsedAt
    this.#lastUsedAt = Math.max(this.#lastUsedAt, Math.min(lastUsedAt, this.#clock.now()))
    const isElsewhere = worker !== undefined && worker !== this.#worker
    if (isElsewhere) this.#worker = worker
    if (last === undefined || !(isLatest || isElsewhere)) return
    // The caller was told of the change there.
    this.#last = last
    this.#isSettled = true
    this.#exitTold = last.exit?.fingerprint
  }
}

/** Puts it last, and forgets the first when there are too many. */
function latest<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > most && oldest !== undefined) map.delete(oldest)
}
