import { backoffMs } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { CircuitBook } from './circuit-book.ts'
import type { Charge, CircuitAccount } from './circuit-budget.ts'
import type { CircuitOrders } from './circuit-orders.ts'
import { burdensGuard } from './circuits.ts'

export interface BuilderPolicy {
  /** Circuits that are being built at the same time, Tor's own included. */
  readonly maxBuilding: number
  /** After so many builds in a row have failed, there is one at a time, and a pause before each. */
  readonly failsToPause: number
  readonly pauseBaseMs: number
  readonly pauseCapMs: number
}

export interface CircuitBuilderOptions {
  readonly book: CircuitBook
  readonly orders: CircuitOrders
  readonly account: CircuitAccount
  readonly policy: BuilderPolicy
  readonly clock: Clock
  readonly random: Random
  /** Told when time has brought what it waited for: budget, the end of a pause, or the certainty that Tor is silent. */
  readonly onTime: () => void
}

/** Has Tor build clean circuits, never more than the budget has, and slowly where builds fail; and keeps the books of all circuits. */
export class CircuitBuilder implements Disposable {
  readonly #options: CircuitBuilderOptions
  /** Charges of circuits that we ordered and whose guard is not known yet. */
  readonly #charges = new Map<string, Charge>()
  /** Circuits that Tor launched by itself and of which no guard has heard yet: in an outage there are many, and none ever will. */
  readonly #unheard = new Set<string>()
  #canBuild = false
  #failures = 0
  #pauses = 0
  #pausedUntil = 0
  #alarm: ({ readonly at: number } & Disposable) | undefined

  constructor(options: CircuitBuilderOptions) {
    this.#options = options
  }

  /** Whether Tor has ever built a circuit to an exit: before that it does not know enough of the network. */
  get canBuild(): boolean {
    return this.#canBuild
  }

  /** It is known that Tor can build circuits. */
  begin(): void {
    this.#canBuild = true
  }

  /** Has circuits built until so many are clean or about to be. What cannot be ordered now is not remembered: ask again. */
  ensure(wanted: number): void {
    const { book, orders, account, policy, clock } = this.#options
    if (!this.#canBuild) return
    const now = clock.monotonic()
    const isFailing = this.#failures >= policy.failsToPause
    const most = isFailing ? 1 : policy.maxBuilding
    for (;;) {
      const building = book.coming + orders.unanswered
      if (book.clean + building >= wanted || building >= most) return
      if (orders.silentInMs === 0) return
      const waitMs = Math.max(isFailing ? this.#pausedUntil - now : 0, account.waitMs())
      if (waitMs > 0) {
        this.wake(waitMs)
        return
      }
      this.#order()
    }
  }

  /** Sees to it that `onTime` is called after `ms`, or earlier. */
  wake(ms: number): void {
    const { clock, onTime } = this.#options
    const at = clock.monotonic() + ms
    if (this.#alarm !== undefined && this.#alarm.at <= at) return
    this.#alarm?.[Symbol.dispose]()
    const timer = clock.timer(ms, () => {
      this.#alarm = undefined
      onTime()
    })
    this.#alarm = { at, [Symbol.dispose]: () => timer[Symbol.dispose]() }
  }

  /** Reads a CIRC event, after the book; tells whether there may be more or fewer circuits now. */
  handle(circuit: Circuit): boolean {
    const { orders, account } = this.#options
    const { id, status, path } = circuit
    const isForExit = burdensGuard(circuit)
    if (status === 'LAUNCHED') {
      if (isForExit && !this.#charges.has(id)) this.#unheard.add(id)
      return isForExit
    }
    const guard = path[0]?.fingerprint
    const isAtGuard = guard !== undefined && (this.#charges.has(id) || this.#unheard.has(id))
    if (isAtGuard) {
      if (this.#unheard.delete(id)) account.spend(guard)
      this.#charges.get(id)?.reached(guard)
      this.#charges.delete(id)
    }
    if (status === 'EXTENDED' || status === 'GUARD_WAIT') return isAtGuard
    // One that took too long is built all the same, though for Tor's statistics alone: its purpose says so.
    if (status === 'BUILT' && isForExit) this.#succeeded()
    if (status === 'FAILED' && orders.isOurs(id)) this.#failed()
    // Whoever is refused is heard; what is lost on the way to the guard, or has no way there, is not.
    if (circuit.reason !== 'DESTROYED') this.#charges.get(id)?.refund()
    this.#charges.delete(id)
    this.#unheard.delete(id)
    if (status === 'BUILT') orders.built(id)
    else orders.gone(id)
    return true
  }

  [Symbol.dispose](): void {
    this.#alarm?.[Symbol.dispose]()
    this.#alarm = undefined
  }

  #order(): void {
    const { orders, account } = this.#options
    const charge = account.charge()
    orders.build(
      (id) => this.#charges.set(id, charge),
      () => {
        charge.refund()
        this.#failed()
        this.wake(0)
      },
    )
    const { silentInMs } = orders
    if (silentInMs !== undefined) this.wake(silentInMs)
  }

  #succeeded(): void {
    this.#canBuild = true
    this.#failures = 0
    this.#pauses = 0
  }

  #failed(): void {
    const { clock, random, policy } = this.#options
    this.#failures++
    const now = clock.monotonic()
    // Those that were under way when the pause began are no further proof.
    if (this.#failures < policy.failsToPause || now < this.#pausedUntil) return
    const { pauseBaseMs, pauseCapMs } = policy
    this.#pausedUntil = now + pauseBaseMs + backoffMs(this.#pauses++, pauseBaseMs, pauseCapMs, random)
  }
}
