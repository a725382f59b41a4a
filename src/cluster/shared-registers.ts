import type { Clock } from '../lib/clock.ts'
import type { Json } from '../lib/json.ts'
import { Listeners } from '../lib/listeners.ts'
import { HybridClock } from './hybrid-clock.ts'
import { instantOf, isOver, isStamp, LwwRegisters, rankOf, stampOf, type Write } from './lww-registers.ts'
import { NamedTimers } from './named-timers.ts'
import type { HubPage, NamedWrite, RegisterHub } from './register-hub.ts'
import type { RegisterChange, Registers } from './registers.ts'
import { StoreUnavailable } from './store-link.ts'
import { Unsent } from './unsent.ts'

/** Writes that the hub does not have yet, where a crash does not lose them. One of a name at most. */
export interface WriteJournal {
  unsent(): Iterable<NamedWrite>
  /** Instead of what was kept of this name. */
  keep(name: string, write: Write): void
  /** The hub has it, or another one holds. */
  forget(name: string): void
}

export interface SharedRegistersOptions {
  readonly hub: RegisterHub
  readonly clock: Clock
  /** Of this run of the replica, and of no other. */
  readonly run: string
  readonly journal?: WriteJournal
  /** What is not just the hub being out of reach. */
  readonly onError: (error: unknown) => void
}

export interface WriteOptions {
  /** What counts before time does: a write of a lower rank than that which holds is lifted to it where it is made. */
  readonly rank?: number
  /** Epoch ms: from then on it is forgotten everywhere, without a trace. */
  readonly until?: number
  /** Should this process end before the hub has it. */
  readonly mayBeLost?: boolean
}

const DAY_MS = 86_400_000
/** How long it is remembered that a register was removed. */
const TOMB_MS = 7 * DAY_MS
/** Who was away for longer may hold what was removed meanwhile: it takes what the hub has, and keeps only what it has not told yet. */
const STALE_MS = TOMB_MS / 2
const SYNC_EVERY_MS = 5_000
const RETRY_MS = 1_000
/** Writes of so long go to the hub in one call. */
const GATHER_MS = 10
const SWEEP_EVERY_MS = 60_000
const WRITES_AT_ONCE = 200
const PAGE = 500

/**
 * Registers that are at hand here and meet others' at a hub. What is set holds at once and is told to the hub when that is there,
 * one write of each name at most, until the hub says that it has it. What others have set is asked for at their news, every 5 s,
 * and when the hub is back. When the hub may have lost something, every replica looks at all of it and tells it what it lacks.
 */
export class SharedRegisters implements Registers, AsyncDisposable {
  readonly #hub: RegisterHub
  readonly #clock: Clock
  readonly #journal: WriteJournal | undefined
  readonly #onError: (error: unknown) => void
  readonly #instants: HybridClock
  readonly #registers = new LwwRegisters()
  readonly #unsent = new Unsent()
  readonly #changes: Listeners<RegisterChange>
  readonly #parts = new DisposableStack()
  readonly #timers: NamedTimers
  #epoch: string | undefined
  #hubRun: string | undefined
  #version = 0
  /** We were away for so long that others may have removed, and forgotten, what we still hold. */
  #isStale = false
  /** By the hub's clock. */
  #syncedAt = 0
  #syncing: Promise<void> | undefined
  #fault: string | undefined
  #isWanted = false
  #isEnded = false

  constructor({ hub, clock, run, journal, onError }: SharedRegistersOptions) {
    this.#hub = hub
    this.#clock = clock
    this.#journal = journal
    this.#onError = onError
    this.#instants = new HybridClock(clock, run)
    this.#changes = new Listeners(onError)
    this.#timers = this.#parts.use(new NamedTimers(clock))
    for (const [name, write] of journal?.unsent() ?? []) if (this.#take(name, write)) this.#unsent.add(name)
    this.#parts.use(hub.onChange((isUp) => isUp && this.#wake()))
    this.#parts.use(hub.onNews((version) => version > this.#version && this.#wake()))
  }

  /** Resolves once they hold what the hub has. Rejects with the signal's reason. */
  static async open(options: SharedRegistersOptions, signal: AbortSignal): Promise<SharedRegisters> {
    const registers = new SharedRegisters(options)
    try {
      await registers.#begin(signal)
      return registers
    } catch (error) {
      registers.#end()
      throw error
    }
  }

  get pending(): number {
    return this.#unsent.size
  }

  get(name: string): Json | undefined {
    return this.#registers.find(name)?.value
  }

  set(name: string, value: Json | undefined, { rank = 0, until, mayBeLost = false }: WriteOptions = {}): void {
    const now = this.#instants.now()
    const known = this.#registers.find(name)
    if (until !== undefined && until <= now) {
      if (known !== undefined) this.set(name, undefined, { rank })
      return
    }
    const least = known === undefined || isOver(known, now) ? 0 : rankOf(known.stamp)
    const ends = until ?? (value === undefined ? now + TOMB_MS : undefined)
    const write = {
      stamp: stampOf(Math.max(rank, least), this.#instants.next()),
      value,
      until: ends === undefined ? undefined : Math.round(ends),
    }
    this.#registers.take(name, write, now)
    this.#unsent.add(name)
    if (!mayBeLost) this.#write(() => this.#journal?.keep(name, write))
    this.#timers.after('send', GATHER_MS, () => this.#wake())
  }

  *entries(kind: string): Iterable<readonly [name: string, value: Json]> {
    for (const [name, { value }] of this.#registers.ofKind(kind)) if (value !== undefined) yield [name, value]
  }

  onChange(listener: (change: RegisterChange) => void): Disposable {
    return this.#changes.add(listener)
  }

  /** Asks the hub, and tells it, now. Rejects with `StoreUnavailable` when it is out of reach. */
  async sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#syncing = promise
    try {
      do {
        this.#isWanted = false
        await this.#pull()
        await this.#push()
      } while (this.#isWanted && !this.#isEnded)
      this.#fault = undefined
    } finally {
      this.#syncing = undefined
      resolve()
    }
  }

  /** Tells the hub what it does not have yet, if it can be reached. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end()
    if (this.#hub.isUp && this.#unsent.size > 0) await this.sync().catch((error) => this.#note(error))
    else await this.#syncing
  }

  async #begin(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      try {
        await this.sync()
        break
      } catch (error) {
        this.#note(error)
        await this.#clock.sleep(RETRY_MS, signal)
      }
    }
    this.#timers.every('sync', SYNC_EVERY_MS, () => this.#wake())
    this.#timers.every('sweep', SWEEP_EVERY_MS, () => this.#sweep())
  }

  #end(): void {
    this.#isEnded = true
    this.#parts[Symbol.dispose]()
  }

  /** Sees to it that a sync begins after this. */
  #wake(): void {
    if (this.#isEnded) return
    this.#isWanted = true
    if (this.#syncing !== undefined || !this.#hub.isUp) return
    this.sync().catch((error) => {
      this.#note(error)
      this.#timers.after('retry', RETRY_MS, () => this.#wake())
    })
  }

  /** What fails again and again in the same way is told once. */
  #note(error: unknown): void {
    const fault = String(error)
    if (!(error instanceof StoreUnavailable) && fault !== this.#fault) this.#onError(error)
    this.#fault = fault
  }

  async #pull(): Promise<void> {
    let page = await this.#hub.pull(this.#version, PAGE)
    if (this.#epoch !== undefined && page.now - this.#syncedAt > STALE_MS) this.#isStale = true
    const hasLost = page.epoch !== this.#epoch || page.run !== this.#hubRun || page.version < this.#version
    if (hasLost || this.#isStale) return await this.#adopt()
    for (;;) {
      this.#read(page)
      if (page.next >= page.version) return
      page = await this.#hub.pull(page.next, PAGE)
      assertSame(page, this.#epoch, this.#hubRun)
    }
  }

  /** Looks at everything: the hub is another one, or has gone on without us for long. */
  async #adopt(): Promise<void> {
    const seen = new Set<string>()
    const names = new Set([...this.#registers.writes()].map(([name]) => name))
    let page = await this.#hub.pull(0, PAGE)
    const { epoch, run } = page
    // Of one that was emptied nobody can tell what was removed from what is lost.
    const isStale = this.#isStale && epoch === this.#epoch
    this.#hubRun = undefined
    for (;;) {
      this.#read(page)
      for (const [name] of page.writes) seen.add(name)
      if (page.next >= page.version) break
      page = await this.#hub.pull(page.next, PAGE)
      assertSame(page, epoch, run)
    }
    for (const name of names) {
      if (seen.has(name) || this.#unsent.has(name)) continue
      if (isStale) this.#drop(name)
      else this.#unsent.add(name)
    }
    this.#epoch = epoch
    this.#hubRun = run
    this.#isStale = false
  }

  #read(page: HubPage): void {
    this.#instants.follow(page.now)
    for (const [name, write] of page.writes) {
      if (!isStamp(write.stamp)) continue
      if (this.#take(name, write)) {
        this.#sent(name)
        this.#changes.notify({ name, value: write.value })
        continue
      }
      const known = this.#registers.find(name)
      if (known === undefined || known.stamp === write.stamp) this.#sent(name)
      else if (known.stamp > write.stamp) this.#unsent.add(name)
    }
    this.#version = page.next
    this.#syncedAt = page.now
  }

  async #push(): Promise<void> {
    // Others are heard in between, however much is written here.
    for (let left = Math.ceil(this.#unsent.size / WRITES_AT_ONCE); left > 0; left--) {
      const writes: NamedWrite[] = []
      for (const name of this.#unsent.next(WRITES_AT_ONCE)) {
        const write = this.#registers.find(name)
        if (write === undefined) this.#sent(name)
        else writes.push([name, write])
      }
      const taken = await this.#hub.push(writes)
      for (const [name, { stamp }] of writes) if (this.#registers.find(name)?.stamp === stamp) this.#sent(name)
      // Nobody else has written since, so there is nothing to ask for.
      const isSame = taken.epoch === this.#epoch && taken.run === this.#hubRun
      if (isSame && taken.before === this.#version) this.#version = taken.version
      else this.#isWanted = true
    }
    if (this.#unsent.size > 0) this.#isWanted = true
  }

  #take(name: string, write: Write): boolean {
    this.#instants.hear(instantOf(write.stamp))
    return this.#registers.take(name, write, this.#instants.now())
  }

  #sent(name: string): void {
    if (this.#unsent.delete(name)) this.#write(() => this.#journal?.forget(name))
  }

  /** A disk that is full is no reason not to go on. */
  #write(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#onError(error)
    }
  }

  /** Others have removed it while we were away. */
  #drop(name: string): void {
    this.#registers.drop(name)
    this.#changes.notify({ name, value: undefined })
  }

  #sweep(): void {
    const now = this.#instants.now()
    for (const [name, write] of [...this.#registers.writes()]) {
      if (!isOver(write, now)) continue
      this.#registers.drop(name)
      this.#sent(name)
    }
  }
}

/** When it is lost while it is read, the next sync sees what has become of it. */
function assertSame(page: HubPage, epoch: string | undefined, run: string | undefined): void {
  if (page.epoch !== epoch || page.run !== run) throw new StoreUnavailable('The store was lost while it was read')
}
