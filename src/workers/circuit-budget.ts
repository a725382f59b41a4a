import type { Clock } from '../lib/clock.ts'

/**
 * How many circuits to exits one guard is asked for, by all workers together. Relays that see more than 3 circuits/s from one
 * address, after a burst of 90, refuse it for an hour or more (tor(1), DoSCircuitCreation); so never as many, and yet
 * enough that a browser or a crawler at work is seldom refused.
 */
export interface BudgetPolicy {
  /** Circuits per second, in the long run. */
  readonly rate: number
  /** As many at once. */
  readonly burst: number
}

export const BUDGET_POLICY: BudgetPolicy = { rate: 2, burst: 60 }

/** For a private network, where no relay is anybody's. */
export const UNLIMITED: BudgetPolicy = { rate: 1_000_000, burst: 1_000_000 }

/** The guards of so many circuits are taken for those that the next one may go through. */
const REMEMBERED = 8

/** One circuit on the books. */
export interface Charge {
  /** It goes through this guard. */
  reached(guard: string): void
  /** No guard has heard of it. */
  refund(): void
}

/** The books of all workers of a service: a token bucket for each guard. */
export class CircuitBudget {
  readonly #clock: Clock
  /** That of all buckets. */
  readonly #policy: { -readonly [K in keyof BudgetPolicy]: BudgetPolicy[K] }
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock, policy: BudgetPolicy = BUDGET_POLICY) {
    this.#clock = clock
    this.#policy = { rate: policy.rate, burst: policy.burst }
  }

  /** From now on, for all Tors. A bucket that holds more than it may is as full as it may be. */
  reconfigure(policy: BudgetPolicy): void {
    this.#policy.rate = policy.rate
    this.#policy.burst = policy.burst
  }

  /** For one Tor. */
  account(): CircuitAccount {
    return new CircuitAccount((guard) => this.#bucket(guard), new Bucket(this.#clock, this.#policy))
  }

  #bucket(guard: string): Bucket {
    const bucket = this.#buckets.get(guard) ?? new Bucket(this.#clock, this.#policy)
    // A full one tells nothing that a new one would not.
    if (!this.#buckets.has(guard))
      for (const [name, other] of this.#buckets) if (other.isFull) this.#buckets.delete(name)
    this.#buckets.set(guard, bucket)
    return bucket
  }
}

/**
 * What one Tor's circuits cost its guards. Which guard a circuit takes is Tor's choice and known at its first hop; until then it
 * counts for every guard that it may take.
 */
export class CircuitAccount {
  readonly #bucketOf: (guard: string) => Bucket
  /** As long as no guard is known. */
  readonly #unknown: Bucket
  #guards: string[] = []

  constructor(bucketOf: (guard: string) => Bucket, unknown: Bucket) {
    this.#bucketOf = bucketOf
    this.#unknown = unknown
  }

  /** A circuit that is there goes through this guard. */
  uses(guard: string): void {
    this.#guards = [...this.#guards, guard].slice(-REMEMBERED)
  }

  /** How long until the budget has so many circuits more; 0 when it has them now. Milliseconds. */
  waitMs(circuits = 1): number {
    return Math.max(...this.#candidates().map((bucket) => bucket.waitMs(circuits)))
  }

  /** A guard has heard of a circuit that Tor launched by itself, whether there is budget for it or not. */
  spend(guard: string): void {
    this.uses(guard)
    this.#bucketOf(guard).take()
  }

  /** A circuit is ordered. */
  charge(): Charge {
    let isOpen = true
    let charged = this.#candidates().filter((bucket) => bucket.take())
    return {
      reached: (guard) => {
        this.uses(guard)
        const its = this.#bucketOf(guard)
        if (!isOpen) return
        isOpen = false
        if (!charged.includes(its)) its.take()
        for (const bucket of charged) if (bucket !== its) bucket.giveBack()
        charged = []
      },
      refund: () => {
        isOpen = false
        for (const bucket of charged) bucket.giveBack()
        charged = []
      },
    }
  }

  #candidates(): readonly Bucket[] {
    const guards = [...new Set(this.#guards)]
    return guards.length === 0 ? [this.#unknown] : guards.map((guard) => this.#bucketOf(guard))
  }
}

/**
 * What Tor launches by itself is not for us to forbid: it puts the bucket into debt, by so many seconds at most. It may launch
 * without end while its network is down, and whoever asks when that is over must not be refused for it.
 */
const MAX_DEBT_S = 4

/** Fills by itself. It may be in debt. */
class Bucket {
  readonly #clock: Clock
  readonly #policy: BudgetPolicy
  #tokens: number
  #at: number

  constructor(clock: Clock, policy: BudgetPolicy) {
    this.#clock = clock
    this.#policy = policy
    this.#tokens = policy.burst
    this.#at = clock.monotonic()
  }

  get isFull(): boolean {
    this.#fill()
    return this.#tokens >= this.#policy.burst
  }

  waitMs(circuits: number): number {
    this.#fill()
    // Fractions of a token are rounding, not debts.
    const missing = circuits - this.#tokens - 1e-9
    return missing <= 0 ? 0 : Math.ceil((missing / this.#policy.rate) * 1_000)
  }

  /** False when it is in as much debt as it may be. */
  take(): boolean {
    this.#fill()
    const { rate, burst } = this.#policy
    const isTaken = this.#tokens - 1 >= -Math.min(burst, MAX_DEBT_S * rate)
    if (isTaken) this.#tokens -= 1
    return isTaken
  }

  giveBack(): void {
    this.#fill()
    this.#tokens = Math.min(this.#tokens + 1, this.#policy.burst)
  }

  #fill(): void {
    const now = this.#clock.monotonic()
    this.#tokens = Math.min(this.#policy.burst, this.#tokens + ((now - this.#at) / 1_000) * this.#policy.rate)
    this.#at = now
  }
}
