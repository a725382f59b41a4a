import { CbtorError } from '../domain/errors.ts'
import type { Mode, Selection } from '../domain/exchange.ts'
import type { DesiredState, HealthState, WorkerName } from '../domain/worker.ts'
import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { isSome } from './candidate.ts'
import { bestTier, choose, takesTraffic } from './choose.ts'
import { Elsewhere } from './elsewhere.ts'
import { shareOfTurns } from './slow-start.ts'
import { markOf } from './sticky.ts'
import { Tiers } from './tiers.ts'
import { BUSY, FULL, type Ids, whyNone, whyNot } from './why-none.ts'

export interface PoolOptions {
  readonly clock: Clock
  readonly random: Random
  readonly mode?: Mode
  /** What the operator wished before a restart, by id; `enabled` where nothing is said. */
  readonly desired?: ReadonlyMap<string, DesiredState>
  /** What a client is told to wait when no worker can take its request but one may soon. */
  readonly retryAfterMs?: number
  /** How many leases one worker has at most at a time. */
  readonly maxLeases?: number
  /** Told when a worker may take a request that it could not take before, and when it is lost. It must not throw. */
  onRoom?(worker: WorkerName): void
}

/** A member as it is at one moment. */
export interface PoolEntry<W> {
  readonly member: W
  readonly name: WorkerName
  readonly desired: DesiredState
  readonly health: HealthState
  /** Whether something speaks against it that is not confirmed, as `setDoubt` was told. */
  readonly isDoubted: boolean
  readonly leases: number
  /** When its last lease was granted, in wall-clock milliseconds. */
  readonly lastUsedAt: number | undefined
}

/** A client's hold on a worker while a request or tunnel runs. Dispose it once it has ended; twice does no harm. */
export interface Lease<W> extends Disposable {
  readonly member: W
  /** Says that it is a tunnel that stands: it does not count any more for how many leases the worker has at most. */
  stands(): void
}

export type PoolEvent =
  | { readonly type: 'health-changed'; readonly worker: string; readonly from: HealthState; readonly to: HealthState }
  | {
      readonly type: 'desired-changed'
      readonly worker: string
      readonly from: DesiredState
      readonly to: DesiredState
    }
  | { readonly type: 'mode-changed'; readonly from: Mode; readonly to: Mode }
  | { readonly type: 'joined' | 'left'; readonly worker: string }

/** A member's, which it is chosen by as it stands: a pool may have a thousand. */
type Seat<W> = { -readonly [K in keyof PoolEntry<W>]: PoolEntry<W>[K] } & {
  readonly mark: number
  /** Its leases, here and at other replicas. */
  load: number
  readonly idle: Set<() => void>
  /** How many of the leases are tunnels that stand: most of them carry nothing most of the time. */
  standing: number
  /** Whether it has as many leases as it may, those that stand aside. */
  isFull: boolean
  /** When it came back from a failure, by the monotonic clock; undefined when it takes all its turns. */
  backSince: number | undefined
  /** The part of its turns that it takes, as of the last look. */
  share: number
  isLeaving: boolean
}

const NONE: ReadonlySet<string> = new Set()
/** Tor serves more, but not well: the number of the design's facts A.3. */
const MAX_LEASES = 64
/** A lease is given back every moment: unlike a dead worker, a busy one is worth another look soon. */
const BUSY_RETRY_AFTER_MS = 1_000

/**
 * Who takes the next request. Holds for each worker the operator's wish, the observed health and the leases, and has no
 * opinion on either of the first two: it is told. `W` is whatever the caller needs of a worker to use it.
 */
export class Pool<W extends { readonly name: WorkerName }> {
  /** By number. */
  #seats: readonly Seat<W>[] = []
  readonly #byId = new Map<string, Seat<W>>()
  readonly #tiers = new Tiers<Seat<W>>({ mayTake: (seat) => whyNot(seat, NONE, NONE) === undefined })
  /** Of `bestTier` where some may not be asked, so that it makes none for each request. */
  readonly #room: Seat<W>[] = []
  /** Those that do not take all their turns yet. */
  readonly #returning = new Set<Seat<W>>()
  readonly #clock: Clock
  readonly #random: Random
  readonly #retryAfterMs: number
  readonly #maxLeases: number
  readonly #elsewhere: Elsewhere
  /** By mode, the number of the worker it chose last: each takes its own turns. */
  readonly #last = new Map<Mode, number>()
  readonly #listeners = new Set<(event: PoolEvent) => void>()
  readonly #onRoom: (worker: WorkerName) => void
  #mode: Mode

  /** Every member begins in `starting`. Throws a RangeError when two share an id or a number. */
  constructor(members: readonly W[], options: PoolOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#retryAfterMs = options.retryAfterMs ?? 5_000
    this.#maxLeases = options.maxLeases ?? MAX_LEASES
    this.#mode = options.mode ?? 'round_robin'
    this.#elsewhere = new Elsewhere(options.clock)
    this.#onRoom = (worker) => options.onRoom?.(worker)
    for (const member of members) this.#place(member, options.desired?.get(member.name.id))
  }

  /** Takes in a member, in `starting`. Throws a RangeError when another one has its id or number. */
  add(member: W, desired: DesiredState = 'enabled'): void {
    this.#place(member, desired)
    this.#tell({ type: 'joined', worker: member.name.id })
  }

  /** Grants no new lease on the member, whatever is wished for it from now on: it is going to be removed. */
  retire(id: string): void {
    if (this.get(id).desired === 'enabled') this.setDesired(id, 'drained')
    this.#find(id).isLeaving = true
  }

  /** Forgets the member. Leases that it has may still be given back. */
  remove(id: string): void {
    const gone = this.#find(id)
    this.#seats = this.#seats.filter((seat) => seat !== gone)
    this.#byId.delete(id)
    this.#returning.delete(gone)
    this.#tiers.clear()
    this.#tell({ type: 'left', worker: gone.name.id })
    // Who waits for it learns that it is gone, and may go elsewhere.
    this.#onRoom(gone.name)
  }

  has(id: string): boolean {
    return this.#byId.has(id)
  }

  /** The lowest number that no member has, from 1. */
  get freeNumber(): number {
    const taken = new Set(this.#seats.map(({ name }) => name.n))
    for (let n = 1; ; n++) if (!taken.has(n)) return n
  }

  get mode(): Mode {
    return this.#mode
  }

  /** Sets the mode for every request that does not bring its own. */
  setMode(mode: Mode): void {
    const from = this.#mode
    this.#mode = mode
    if (from !== mode) this.#tell({ type: 'mode-changed', from, to: mode })
  }

  /** All members by their numbers. */
  entries(): readonly PoolEntry<W>[] {
    return this.#seats.map(entry)
  }

  /** The member with this id or number (`tor01`, `1`). Throws `worker_not_found`. */
  get(ref: string | number): PoolEntry<W> {
    return entry(this.#find(ref))
  }

  /**
   * Grants a lease on a worker that is enabled, healthy or suspect, not in `tried` and not at its limit. Throws
   * `no_worker` with the reason and, when one may be back without the operator, `retryAfterMs`; `overloaded` when those
   * that are back are at their limits; `target_busy` when one of them is not, but `busy` with the request's target. For a
   * selection that names its worker: `worker_not_found` when there is none, `conflict` when the operator drained or stopped
   * it, else as above.
   */
  acquire(selection: Selection, tried: ReadonlySet<string> = NONE, busy: Ids = NONE): Lease<W> {
    const { workerId, key, mode = this.#mode } = selection
    if (workerId !== undefined) return this.#grant(this.#pinned(workerId, tried, busy))

    if (this.#elsewhere.isOver) this.#weigh()
    for (const seat of this.#returning) this.#slowStart(seat)
    const tier = this.#asked(mode, tried, busy)
    if (!isSome(tier))
      throw this.#noWorker(`Cannot choose a worker: ${whyNone(this.#seats, tried, busy)}`, this.#seats, tried, busy)
    const chosen = choose(tier, mode, { key, after: this.#last.get(mode) ?? 0, random: this.#random })
    this.#last.set(mode, chosen.name.n)
    return this.#grant(chosen)
  }

  /**
   * Tells the pool what is observed. With `slowStart` a worker that becomes healthy gets its full share of requests only
   * after a minute; so does, unless said otherwise, one that was dead or in recovery.
   */
  setHealth(id: string, health: HealthState, options: { readonly slowStart?: boolean } = {}): void {
    const seat = this.#find(id)
    const from = seat.health
    seat.health = health
    if (from === health) return
    this.#tiers.clear()
    const { slowStart = from === 'dead' || from === 'recovery' } = options
    if (health === 'healthy') {
      seat.backSince = slowStart ? this.#clock.monotonic() : undefined
      seat.share = 1
      if (slowStart) this.#returning.add(seat)
      else this.#returning.delete(seat)
      seat.isDoubted = false
    }
    this.#tell({ type: 'health-changed', worker: seat.name.id, from, to: health })
    this.#onRoom(seat.name)
  }

  /**
   * Says that something speaks against the worker which is not confirmed, such as a missed pulse or a request that
   * hangs; or that nothing does any more. While it does, the worker is asked after the other healthy ones. A worker that
   * becomes healthy is in no doubt.
   */
  setDoubt(id: string, isDoubted: boolean): void {
    const seat = this.#find(id)
    if (seat.isDoubted === isDoubted) return
    seat.isDoubted = isDoubted
    this.#tiers.clear()
  }

  /** How many leases each worker has of this replica, by id: those that have any. */
  leases(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { name, leases } of this.#seats) if (leases > 0) counts.set(name.id, leases)
    return counts
  }

  /**
   * How many leases another replica has, by the ids of workers: only `least_connections` looks at them. They hold for 5 s, or until
   * it tells others; `undefined`: it is gone. Workers that are not known here do no harm.
   */
  setElsewhere(replica: string, leases: ReadonlyMap<string, number> | undefined): void {
    this.#elsewhere.set(replica, leases)
    this.#weigh()
  }

  /**
   * Sets what the operator wishes. Only `enabled` gets new leases; running ones go on in any case. Throws `conflict` for one that is to
   * be enabled and is being removed.
   */
  setDesired(id: string, desired: DesiredState): void {
    const seat = this.#find(id)
    if (seat.isLeaving && desired === 'enabled')
      throw new CbtorError('conflict', `Cannot enable worker "${seat.name.id}": it is being removed`)
    const from = seat.desired
    seat.desired = desired
    if (from === desired) return
    this.#tiers.clear()
    this.#tell({ type: 'desired-changed', worker: seat.name.id, from, to: desired })
    this.#onRoom(seat.name)
  }

  /**
   * Grants no new lease on the worker from now on. Throws `conflict`, unless forced, when the pool would be left with
   * nobody to take a request, and when the worker is stopped (that wish is stronger, and would be lost).
   */
  drain(id: string, options: { readonly force?: boolean } = {}): void {
    const seat = this.#find(id)
    if (seat.desired === 'stopped')
      throw new CbtorError('conflict', `Cannot drain worker "${seat.name.id}": it is stopped`)
    if (!options.force && seat.desired === 'enabled' && this.#isLast(seat))
      throw new CbtorError('conflict', `Cannot drain worker "${seat.name.id}": no other could take requests`)
    this.setDesired(id, 'drained')
  }

  enable(id: string): void {
    this.setDesired(id, 'enabled')
  }

  /**
   * Resolves once the drained or stopped worker has no lease left. Rejects with `conflict` when it is enabled, then or
   * later, and with the signal's reason when aborted.
   */
  async drained(id: string, signal: AbortSignal): Promise<void> {
    const seat = this.#find(id)
    const refuse = () => new CbtorError('conflict', `Cannot wait until worker "${seat.name.id}" is idle: it is enabled`)
    signal.throwIfAborted()
    if (seat.desired === 'enabled') throw refuse()
    if (seat.leases === 0) return

    const { promise, resolve, reject } = Promise.withResolvers<void>()
    seat.idle.add(resolve)
    using _ = this.onEvent((event) => {
      if (event.type === 'desired-changed' && event.worker === seat.name.id && event.to === 'enabled') reject(refuse())
    })
    try {
      await abortable(promise, signal)
    } finally {
      seat.idle.delete(resolve)
    }
  }

  /** Calls `listener`, which must not throw, after each change. Dispose to stop listening. */
  onEvent(listener: (event: PoolEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  #pinned(ref: string, tried: ReadonlySet<string>, busy: Ids): Seat<W> {
    const seat = this.#find(ref)
    const why = whyNot(seat, tried, busy)
    if (why === undefined) return seat
    const message = `Cannot use worker "${seat.name.id}": it is ${why}`
    if (seat.desired !== 'enabled') throw new CbtorError('conflict', message)
    throw this.#noWorker(message, [seat], tried, busy)
  }

  #asked(mode: Mode, tried: ReadonlySet<string>, busy: Ids): readonly Seat<W>[] {
    if (tried.size > 0 || busy.size > 0)
      return bestTier(this.#seats, mode, (seat) => whyNot(seat, tried, busy) === undefined, this.#room)
    return this.#tiers.of(mode, this.#seats)
  }

  #slowStart(seat: Seat<W>): void {
    seat.share = seat.backSince === undefined ? 1 : shareOfTurns(this.#clock.monotonic() - seat.backSince)
    if (seat.share < 1) return
    seat.backSince = undefined
    this.#returning.delete(seat)
  }

  #count(seat: Seat<W>, leases: number, standing: number): void {
    seat.leases += leases
    seat.load += leases
    seat.standing += standing
    const isFull = seat.leases - seat.standing >= this.#maxLeases
    if (isFull === seat.isFull) return
    seat.isFull = isFull
    // One that is gone may still have given a lease back.
    if (this.#byId.get(seat.name.id) === seat) this.#tiers.resized(seat)
  }

  #weigh(): void {
    const counts = this.#elsewhere.counts()
    for (const seat of this.#seats) seat.load = seat.leases + (counts.get(seat.name.id) ?? 0)
  }

  #grant(seat: Seat<W>): Lease<W> {
    this.#count(seat, 1, 0)
    seat.lastUsedAt = this.#clock.now()
    let isHeld = true
    let isStanding = false
    return {
      member: seat.member,
      stands: () => {
        if (!isHeld || isStanding) return
        isStanding = true
        this.#count(seat, 0, 1)
        this.#onRoom(seat.name)
      },
      [Symbol.dispose]: () => {
        if (!isHeld) return
        isHeld = false
        this.#count(seat, -1, isStanding ? -1 : 0)
        if (seat.leases === 0) for (const resolve of seat.idle) resolve()
        this.#onRoom(seat.name)
      },
    }
  }

  #noWorker(message: string, seats: readonly Seat<W>[], tried: ReadonlySet<string>, busy: Ids): CbtorError {
    const reasons = seats.map((seat) => whyNot(seat, tried, busy))
    if (reasons.includes(BUSY)) return new CbtorError('target_busy', message)
    if (reasons.includes(FULL)) return new CbtorError('overloaded', message, { retryAfterMs: BUSY_RETRY_AFTER_MS })
    // Waiting helps when healing may bring a worker back, not when only the operator can.
    const mayReturn = seats.some(({ desired }) => desired === 'enabled')
    return new CbtorError('no_worker', message, mayReturn ? { retryAfterMs: this.#retryAfterMs } : {})
  }

  /** Whether requests have nowhere to go without `seat`: now, or once the dead ones are healed. */
  #isLast(seat: Seat<W>): boolean {
    const others = this.#seats.filter((other) => other !== seat && other.desired === 'enabled')
    return takesTraffic(seat.health) ? !others.some(({ health }) => takesTraffic(health)) : others.length === 0
  }

  #place(member: W, desired: DesiredState = 'enabled'): void {
    for (const key of ['id', 'n'] as const) {
      const value = member.name[key]
      if (this.#seats.some(({ name }) => name[key] === value))
        throw new RangeError(`Cannot make a pool: two workers have the ${key} ${value}`)
    }
    const seat: Seat<W> = {
      ...{ member, name: member.name, desired, health: 'starting', isDoubted: false, leases: 0, load: 0 },
      ...{ lastUsedAt: undefined, idle: new Set(), standing: 0, isFull: this.#maxLeases <= 0 },
      ...{ mark: markOf(member.name.id), backSince: undefined, share: 1, isLeaving: false },
    }
    this.#byId.set(member.name.id, seat)
    this.#seats = [...this.#seats, seat].sort((a, b) => a.name.n - b.name.n)
  }

  #find(ref: string | number): Seat<W> {
    const named = typeof ref === 'string' ? this.#byId.get(ref) : undefined
    const found = named ?? this.#seats.find(({ name }) => String(name.n) === String(ref))
    if (found === undefined)
      throw new CbtorError('worker_not_found', `Cannot find the worker: no worker is called "${ref}"`)
    return found
  }

  #tell(event: PoolEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}

function entry<W>({ member, name, desired, health, isDoubted, leases, lastUsedAt }: Seat<W>): PoolEntry<W> {
  return { member, name, desired, health, isDoubted, leases, lastUsedAt }
}
