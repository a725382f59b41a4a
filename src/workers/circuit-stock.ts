import { CbtorError } from '../domain/errors.ts'
import { abortable, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { ControlEvent } from '../tor/control/events/event.ts'
import type { CircuitBook } from './circuit-book.ts'
import type { Charge, CircuitAccount, CircuitBudget } from './circuit-budget.ts'
import { type BuilderPolicy, CircuitBuilder } from './circuit-builder.ts'
import type { CircuitOrders } from './circuit-orders.ts'
import { burdensGuard } from './circuits.ts'
import { FairQueue } from './fair-queue.ts'

export interface StockPolicy extends BuilderPolicy {
  /** Clean circuits that are kept for identities to come. */
  readonly stock: number
  /** How long a new identity waits for a circuit, in milliseconds. */
  readonly waitMs: number
  /** New identities that wait at the same time. */
  readonly maxWaiting: number
}

export const STOCK_POLICY: StockPolicy = {
  stock: 3,
  waitMs: 5_000,
  maxWaiting: 512,
  maxBuilding: 32,
  failsToPause: 3,
  pauseBaseMs: 500,
  pauseCapMs: 30_000,
}

/** What the workers of a service have in common about circuits. */
export interface CircuitSupply {
  readonly budget: CircuitBudget
  readonly policy: StockPolicy
}

export interface CircuitStockOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly book: CircuitBook
  readonly orders: CircuitOrders
  readonly account: CircuitAccount
  readonly policy: StockPolicy
  readonly clock: Clock
  readonly random: Random
}

/** What the first stream of a new identity takes up: a clean circuit, or budget for one that Tor builds for it alone. */
export type Need = 'circuit' | 'budget'

/** A new identity's claim on the next circuit; all its streams that are on their way have it together. */
interface Place {
  /** The caller whose identity it is, which takes its turn among the others. */
  readonly owner: string
  readonly need: Need
  /** Streams that have it. */
  uses: number
  /** Granted, and not yet on its circuit: a clean one is spoken for. */
  isReserved: boolean
  /** The budget that is spoken for. */
  hold: Charge | undefined
  isForgotten: boolean
  readonly granted: PromiseWithResolvers<void>
}

/** Gives back what was not used. It may be disposed of more than once. */
export type Ticket = Disposable

const NO_TICKET: Ticket = { [Symbol.dispose]() {} }

/**
 * Keeps a few clean circuits in a Tor, and lets the first stream of a new identity go when there is one for it: Tor, which puts a new
 * SOCKS user name on a clean circuit by itself, then has no reason to launch one. More are built for those who wait, within the
 * budget of the guards; circuits of identities that nobody will ask for again are closed.
 *
 * It never has a stream in its hands: when the control port is silent, or no circuit comes, streams go on without a ticket and Tor
 * builds what they need.
 */
export class CircuitStock implements Disposable {
  readonly #options: CircuitStockOptions
  readonly #builder: CircuitBuilder
  /** By identity. */
  readonly #places = new Map<string, Place>()
  /** Those that are not granted yet: callers take turns, so that none with a thousand identities starves another. */
  readonly #waiting = { circuit: new FairQueue<Place>(), budget: new FairQueue<Place>() }
  readonly #forgotten = new Set<string>()
  readonly #warmers = new Set<{ readonly count: number; readonly done: () => void }>()
  /** Places that are reserved. */
  #reserved = 0
  #isClosed = false

  constructor(options: CircuitStockOptions) {
    this.#options = options
    this.#builder = new CircuitBuilder({ ...options, onTime: () => this.#onTime() })
  }

  /** Clean circuits that nobody has spoken for. */
  get available(): number {
    return this.#options.book.clean - this.#reserved
  }

  /**
   * Resolves when the identity's stream may go: at once when the identity has a circuit, else when there is one for it. The ticket is
   * to be held until the stream is on its circuit or has failed. Rejects with `overloaded` when there is no budget for another
   * circuit in time, as soon as that is clear, and with the signal's reason. `owner`: the caller's id.
   */
  async take(user: string, need: Need, signal: AbortSignal, owner = ''): Promise<Ticket> {
    const { book, orders } = this.#options
    this.#forgotten.delete(user)
    let place = this.#places.get(user)
    if (place === undefined) {
      const mayGo = book.has(user) || this.#isClosed || !this.#builder.canBuild || orders.silentInMs === 0
      if (mayGo) return NO_TICKET
      place = this.#open(user, need, owner)
    }
    place.uses++
    place.isForgotten = false
    const ticket = this.#ticket(user, place)
    if (!this.#waiting[place.need].has(place)) return ticket
    try {
      await this.#granted(place, signal)
      return ticket
    } catch (error) {
      ticket[Symbol.dispose]()
      throw error
    }
  }

  /** Nobody will ask for this identity again: its circuits are closed, as soon as no stream is on them. */
  forget(user: string): void {
    const place = this.#places.get(user)
    if (place === undefined) this.#closeCircuits(user)
    else place.isForgotten = true
  }

  /** Resolves once so many clean circuits are there that nobody has spoken for. Rejects with the signal's reason. */
  async warm(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    const warmer = { count, done: resolve }
    this.#warmers.add(warmer)
    try {
      this.#builder.begin()
      this.#balance()
      await abortable(promise, signal)
    } finally {
      this.#warmers.delete(warmer)
    }
  }

  /** Takes over a circuit that was there before us, after the book has read it. */
  adopt(circuit: Circuit): void {
    if (!burdensGuard(circuit)) return
    const guard = circuit.path[0]?.fingerprint
    if (guard !== undefined) this.#options.account.uses(guard)
    if (circuit.status === 'BUILT') this.#builder.begin()
  }

  /** To be called after the book has read the event. */
  handle(event: ControlEvent): void {
    const { orders, book } = this.#options
    orders.heard()
    if (event.type === 'CIRC') {
      if (this.#builder.handle(event)) this.#balance()
      return
    }
    if (event.type !== 'STREAM') return
    const { status } = event
    if (status === 'SENTCONNECT' || status === 'SENTRESOLVE') {
      const place = this.#places.get(book.userOf(event) ?? '')
      if (place !== undefined) this.#release(place)
      this.#balance()
    } else if ((status === 'CLOSED' || status === 'FAILED') && this.#forgotten.size > 0) {
      // The last event of a stream of the TransPort does not tell whose it was; its circuit does.
      const user = event.socksUsername ?? book.ownerOf(event.circuitId ?? '')
      if (user !== undefined && this.#forgotten.has(user)) this.#closeCircuits(user)
    }
  }

  /** Lets go of all who wait: they go on without a ticket. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#builder[Symbol.dispose]()
    this.#letGo()
  }

  /** What can be granted is, and what is missing is ordered. */
  #balance(): void {
    if (this.#isClosed) return
    const { policy, account } = this.#options
    const { circuit, budget } = this.#waiting
    for (let place = circuit.first(); place !== undefined && this.available > 0; place = circuit.first()) {
      place.isReserved = true
      this.#reserved++
      this.#grant(place)
    }
    for (let place = budget.first(); place !== undefined; place = budget.first()) {
      const waitMs = account.waitMs()
      if (waitMs > 0) {
        this.#builder.wake(waitMs)
        break
      }
      place.hold = account.charge()
      this.#grant(place)
    }
    let kept = policy.stock
    for (const { count, done } of this.#warmers) {
      if (this.available >= count) done()
      kept = Math.max(kept, count)
    }
    this.#builder.ensure(kept + circuit.size + this.#reserved)
  }

  #onTime(): void {
    const { silentInMs } = this.#options.orders
    if (silentInMs === 0) this.#letGo()
    else if (silentInMs !== undefined) this.#builder.wake(silentInMs)
    this.#balance()
  }

  #letGo(): void {
    for (const queue of Object.values(this.#waiting)) for (const place of [...queue]) this.#grant(place)
  }

  #grant(place: Place): void {
    this.#waiting[place.need].delete(place)
    place.granted.resolve()
  }

  #open(user: string, need: Need, owner: string): Place {
    const place: Place = {
      ...{ owner, need, uses: 0, isReserved: false, hold: undefined, isForgotten: false },
      granted: Promise.withResolvers<void>(),
    }
    this.#places.set(user, place)
    this.#waiting[need].add(place)
    this.#balance()
    return place
  }

  async #granted(place: Place, signal: AbortSignal): Promise<void> {
    const { clock, policy, account } = this.#options
    const isHopeless = this.#budgetMs(place) > policy.waitMs
    if (isHopeless || this.#areTooMany(place)) throw this.#overloaded(place)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    using _aborted = onAbort(signal, reject)
    using _late = clock.timer(policy.waitMs, () => {
      if (account.waitMs() > 0) reject(this.#overloaded(place))
      else this.#grant(place)
    })
    void place.granted.promise.then(resolve)
    await promise
  }

  #ticket(user: string, place: Place): Ticket {
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return
        isHeld = false
        if (--place.uses > 0) return
        this.#places.delete(user)
        this.#waiting[place.need].delete(place)
        this.#release(place)
        if (place.isForgotten) this.#closeCircuits(user)
        this.#balance()
      },
    }
  }

  /** It has its circuit, or needs none any more. */
  #release(place: Place): void {
    place.hold?.refund()
    place.hold = undefined
    if (!place.isReserved) return
    place.isReserved = false
    this.#reserved--
  }

  #closeCircuits(user: string): void {
    const { book, orders } = this.#options
    this.#forgotten.delete(user)
    for (const id of book.idleOf(user)) orders.close(id)
    if (book.isBusy(user)) this.#forgotten.add(user)
  }

  /** Whether as many wait as may, and of this owner no fewer than its share of them. */
  #areTooMany({ owner }: Place): boolean {
    const { maxWaiting } = this.#options.policy
    const queues = Object.values(this.#waiting)
    const sum = (count: (queue: FairQueue<Place>) => number) => queues.reduce((all, queue) => all + count(queue), 0)
    if (sum(({ size }) => size) <= maxWaiting) return false
    return sum((queue) => queue.countOf(owner)) > maxWaiting / sum(({ owners }) => owners)
  }

  /** How long until there is budget for it and for those whose turn is before. */
  #budgetMs(place: Place): number {
    const { account, book, orders } = this.#options
    const before = this.#waiting[place.need].placeOf(place)
    const missing = place.need === 'budget' ? before : before - book.coming - orders.unanswered
    return missing <= 0 ? 0 : account.waitMs(missing)
  }

  #overloaded(place: Place): CbtorError {
    return new CbtorError(
      'overloaded',
      `Cannot build a circuit for a new identity through worker ${this.#options.worker}: its guard has got as many as it is asked for`,
      { retryAfterMs: Math.max(1_000, this.#budgetMs(place)) },
    )
  }
}
