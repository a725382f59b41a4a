import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import type { HealerLease, HealerLeases } from './healer-leases.ts'
import {
  isFree,
  isToBeGiven,
  type LeaseEntry,
  type LeaseRequest,
  type LeaseSituation,
  ownersOf,
  planLeases,
} from './lease-plan.ts'
import { argumentsOf, entriesOf, LEASE_MS, LEASES } from './lease-script.ts'
import type { Presence } from './presence.ts'
import { type StoreLink, StoreRefuses, StoreUnavailable } from './store-link.ts'

const RENEW_MS = 2_000
/** A lease is held for so much less than the store thinks, from the moment when it was asked for: clocks run at different speeds. */
const MARGIN_MS = 500
/** From one look to the next at the least, however many say that there is news. */
const LEAST_MS = 100
/** By then a newcomer knows who lives: all have beaten once. */
const SETTLE_MS = 1_500
const SEIZE_EVERY_MS = 250
/** What is nobody's for so long is not wanted by whom it belongs to: longer than it takes anybody to get a lease. */
const ORPHAN_MS = 8_000

export interface LeasesOptions {
  readonly link: Pick<StoreLink, 'isUp' | 'key' | 'call' | 'run' | 'subscribe' | 'onChange'>
  readonly presence: Pick<Presence, 'self' | 'members' | 'onChange'>
  readonly clock: Clock
  /** A listener has thrown, or the store has answered what is no answer. */
  readonly onError: (error: unknown) => void
}

/** Held until then, by both clocks: one stands still while the machine sleeps, the other may be set. */
interface Held {
  readonly token: number
  readonly until: number
  readonly untilWall: number
}

/** Leases in one hash of the store. Everything that this replica has or wants is asked for in one call each 2 s. */
export class ValkeyLeases implements HealerLeases {
  readonly #options: LeasesOptions
  readonly #key: string
  readonly #channel: string
  readonly #settledAt: number
  readonly #changes: Listeners<string>
  readonly #refusals: Listeners<void>
  readonly #stack = new DisposableStack()
  readonly #held = new Map<string, Held>()
  /** Given up, and to be let go of in the store once nothing is done to the worker any more. */
  readonly #leaving = new Map<string, number>()
  readonly #kept = new Map<string, number>()
  readonly #seized = new Map<string, number>()
  readonly #freeSince = new Map<string, number>()
  #workers: ReadonlySet<string> = new Set()
  #owners: ReadonlyMap<string, string> = new Map()
  #entries: ReadonlyMap<string, LeaseEntry> = new Map()
  /** When the question was asked that `#entries` answer. */
  #entriesAt = 0
  #looking: Promise<void> | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #isAskedAgain = false
  #nextLook: Disposable | undefined
  #nextEnd: Disposable | undefined
  #isOver = false
  #refusal: string | undefined

  constructor(options: LeasesOptions) {
    const { link, presence, clock, onError } = options
    this.#options = options
    this.#settledAt = clock.monotonic() + SETTLE_MS
    this.#key = link.key('leases')
    this.#channel = link.key('leases-news')
    this.#changes = new Listeners(onError)
    this.#refusals = new Listeners(onError)
    this.#stack.use(presence.onChange(() => this.#membersChanged()))
    this.#stack.use(link.onChange((isUp) => void (isUp && this.#lookSoon())))
    this.#stack.use(link.subscribe(this.#channel, (run) => void (run !== presence.self.run && this.#lookSoon())))
    this.#lookIn(0)
  }

  held(worker: string): HealerLease | undefined {
    const held = this.#held.get(worker)
    return held !== undefined && this.#isValid(held) ? { worker, token: held.token } : undefined
  }

  holder(worker: string): string | undefined {
    const { presence, clock } = this.#options
    if (this.held(worker) !== undefined) return presence.self.replica
    const entry = this.#entries.get(worker)
    if (entry === undefined || entry.run === presence.self.run) return undefined
    if (entry.leftMs <= clock.monotonic() - this.#entriesAt) return undefined
    return presence.members().find(({ run }) => run === entry.run)?.replica
  }

  /** Why the store takes no writes, although it answers. We write to it each 2 s, whatever there is to be written. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  onRefusal(listener: () => void): Disposable {
    return this.#refusals.add(listener)
  }

  onChange(listener: (worker: string) => void): Disposable {
    return this.#changes.add(listener)
  }

  async seize(worker: string, signal: AbortSignal): Promise<HealerLease> {
    const { clock } = this.#options
    if (!this.#workers.has(worker)) throw new RangeError(`Cannot take the lease of ${worker}: it is not shared`)
    count(this.#seized, worker, 1)
    try {
      for (;;) {
        signal.throwIfAborted()
        const held = this.held(worker)
        if (held !== undefined) return held
        await abortable(this.#lookAnew(), signal)
        if (this.held(worker) === undefined) await clock.sleep(SEIZE_EVERY_MS, signal)
      }
    } finally {
      count(this.#seized, worker, -1)
    }
  }

  keep(worker: string): Disposable {
    count(this.#kept, worker, 1)
    let isKept = true
    return {
      [Symbol.dispose]: () => {
        if (!isKept) return
        isKept = false
        count(this.#kept, worker, -1)
        const isWaitedFor = this.#leaving.has(worker) || (this.#entries.get(worker)?.wanter ?? '') !== ''
        if (isWaitedFor && !this.#kept.has(worker)) this.#lookSoon()
      },
    }
  }

  setWorkers(ids: readonly string[]): void {
    this.#workers = new Set(ids)
    for (const worker of [...this.#held.keys()]) if (!this.#workers.has(worker)) this.#give(worker)
    this.#freeSince.clear()
    this.#membersChanged()
  }

  /** Gives everything back, as far as the store hears it within 2 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#stack[Symbol.dispose]()
    this.#nextLook?.[Symbol.dispose]()
    this.#nextEnd?.[Symbol.dispose]()
    await this.#looking?.catch(() => {})
    for (const worker of [...this.#held.keys()]) this.#give(worker)
    const releases = [...this.#leaving].map(([worker, token]) => ({ type: 'release' as const, worker, token }))
    if (releases.length === 0) return
    await this.#ask(releases).then(
      () => this.#spread(),
      () => {},
    )
  }

  #isValid({ until, untilWall }: Held): boolean {
    const { clock } = this.#options
    return clock.monotonic() < until && clock.now() < untilWall
  }

  #membersChanged(): void {
    const replicas = this.#options.presence.members().map(({ replica }) => replica)
    this.#owners = ownersOf([...this.#workers], replicas)
    this.#lookSoon()
  }

  #lookIn(ms: number): void {
    this.#nextLook?.[Symbol.dispose]()
    this.#nextLook = undefined
    if (this.#isOver) return
    this.#nextLook = this.#options.clock.timer(ms, () => void this.#look().catch((error) => this.#failed(error)))
  }

  #lookSoon(): void {
    if (this.#looking !== undefined) this.#isAskedAgain = true
    else this.#lookIn(Math.max(0, this.#lookedAt + LEAST_MS - this.#options.clock.monotonic()))
  }

  #failed(error: unknown): void {
    if (!(error instanceof StoreUnavailable)) this.#options.onError(error)
  }

  /** A look that begins now or later. */
  async #lookAnew(): Promise<void> {
    await this.#looking?.catch(() => {})
    await this.#look()
  }

  /** Asks the store, and does what it says. Rejects with `StoreUnavailable`. */
  async #look(): Promise<void> {
    if (this.#looking !== undefined || this.#isOver) return await this.#looking
    this.#looking = this.#lookOnce()
    try {
      await this.#looking
    } finally {
      this.#looking = undefined
      const isHurried = this.#isAskedAgain
      this.#isAskedAgain = false
      this.#lookIn(isHurried ? LEAST_MS : RENEW_MS - (this.#options.clock.monotonic() - this.#lookedAt))
    }
  }

  async #lookOnce(): Promise<void> {
    const { clock, link } = this.#options
    this.#lookedAt = clock.monotonic()
    this.#end()
    if (!link.isUp) throw new StoreUnavailable('Cannot ask for leases: the store is down')
    const requests = planLeases(this.#situation())
    const waitedBefore = this.#waited()
    try {
      await this.#ask(requests)
      this.#refusedBy(undefined)
    } catch (error) {
      // What the store has against it at other times, such as rights that were taken, comes as another error.
      const isAway = error instanceof StoreUnavailable && !(error instanceof StoreRefuses)
      this.#refusedBy(isAway ? undefined : error instanceof Error ? error.message : String(error))
      throw error
    }
    const isReleased = requests.some(({ type }) => type === 'release')
    if (isReleased || [...this.#waited()].some((worker) => !waitedBefore.has(worker))) await this.#spread()
  }

  #refusedBy(reason: string | undefined): void {
    const isNew = (reason === undefined) !== (this.#refusal === undefined)
    this.#refusal = reason
    if (isNew) this.#refusals.notify()
  }

  async #ask(requests: readonly LeaseRequest[]): Promise<void> {
    const { clock, link, presence } = this.#options
    const [at, wall] = [clock.monotonic(), clock.now()]
    const answer = await link.run(LEASES, [this.#key], argumentsOf(presence.self.run, requests))
    this.#learn(entriesOf(answer), requests, {
      until: at + LEASE_MS - MARGIN_MS,
      untilWall: wall + LEASE_MS - MARGIN_MS,
    })
    this.#entriesAt = at
  }

  #learn(entries: readonly LeaseEntry[], requests: readonly LeaseRequest[], ends: Omit<Held, 'token'>): void {
    const { self } = this.#options.presence
    const situation = this.#situation()
    this.#entries = new Map(entries.map((entry) => [entry.worker, entry]))
    for (const request of requests) {
      const { worker, type } = request
      const entry = this.#entries.get(worker)
      const isOurs = entry?.run === self.run
      if (type === 'release') {
        this.#leaving.delete(worker)
      } else if (entry !== undefined && isOurs && this.#workers.has(worker)) {
        const isSame = type !== 'renew' || request.token === entry.token
        if (isSame) this.#hold(worker, { token: entry.token, ...ends })
        if (isToBeGiven(entry, situation)) this.#give(worker)
      } else if (this.#held.has(worker)) {
        this.#drop(worker)
      }
    }
    this.#watchOrphans()
    this.#end()
  }

  #hold(worker: string, held: Held): void {
    if (this.#isOver || !this.#isValid(held) || this.#leaving.has(worker)) return
    const isNew = this.#held.get(worker)?.token !== held.token
    this.#held.set(worker, held)
    if (isNew) this.#changes.notify(worker)
  }

  /** Gives it up here, and then in the store: first nobody has it, then the next. */
  #give(worker: string): void {
    const held = this.#held.get(worker)
    if (held === undefined) return
    this.#leaving.set(worker, held.token)
    this.#drop(worker)
    this.#lookSoon()
  }

  #drop(worker: string): void {
    if (this.#held.delete(worker)) this.#changes.notify(worker)
  }

  /** Drops what has run out, and does so again when the next one does. */
  #end(): void {
    const { clock } = this.#options
    this.#nextEnd?.[Symbol.dispose]()
    this.#nextEnd = undefined
    let next = Number.POSITIVE_INFINITY
    for (const [worker, held] of [...this.#held]) {
      if (this.#isValid(held)) next = Math.min(next, held.until)
      else this.#drop(worker)
    }
    if (this.#isOver || next === Number.POSITIVE_INFINITY) return
    this.#nextEnd = clock.timer(next - clock.monotonic(), () => this.#end())
  }

  #watchOrphans(): void {
    const now = this.#options.clock.monotonic()
    for (const worker of this.#workers) {
      if (!isFree(this.#entries.get(worker))) this.#freeSince.delete(worker)
      else if (!this.#freeSince.has(worker)) this.#freeSince.set(worker, now)
    }
  }

  /** What others have and we wait for. */
  #waited(): ReadonlySet<string> {
    const { run } = this.#options.presence.self
    return new Set([...this.#entries.values()].flatMap(({ worker, wanter }) => (wanter === run ? [worker] : [])))
  }

  /** Those who have what we wait for, and those who wait for what we had, need not wait for their next look. */
  async #spread(): Promise<void> {
    const { link, presence } = this.#options
    await link.call('PUBLISH', this.#channel, presence.self.run).catch(() => {})
  }

  #situation(): LeaseSituation {
    const { presence, clock } = this.#options
    const now = clock.monotonic()
    return {
      self: presence.self,
      workers: [...this.#workers],
      held: new Map([...this.#held].map(([worker, { token }]) => [worker, token])),
      leaving: this.#leaving,
      seized: new Set(this.#seized.keys()),
      isSettled: now >= this.#settledAt,
      isKept: (worker) => this.#kept.has(worker),
      isOrphaned: (worker) => now - (this.#freeSince.get(worker) ?? now) >= ORPHAN_MS,
      ownerOf: (worker) => this.#owners.get(worker),
    }
  }
}

function count(counts: Map<string, number>, name: string, by: number): void {
  const next = (counts.get(name) ?? 0) + by
  if (next > 0) counts.set(name, next)
  else counts.delete(name)
}
