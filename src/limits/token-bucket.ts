/** How fast a bucket fills, and how much it holds. */
export interface Flow {
  /** Tokens per second in the long run; Infinity where there is no limit. */
  readonly rate: number
  /** As many at once. */
  readonly burst: number
}

/** Fractions of a token are rounding, not debts. */
const ROUNDING = 1e-9

/** Tokens that come by themselves. It begins full; instants are of a monotonic clock, in milliseconds. */
export class TokenBucket {
  #tokens: number
  #at: number

  constructor({ burst }: Flow, now: number) {
    this.#tokens = burst
    this.#at = now
  }

  /** How long until it has one; 0 when it has one now. */
  waitMs(flow: Flow, now: number): number {
    this.#fill(flow, now)
    const missing = 1 - this.#tokens - ROUNDING
    return missing <= 0 ? 0 : Math.ceil((missing / flow.rate) * 1_000)
  }

  /** Takes them, whether it has them or not: it may be in debt, which then has to be waited off. */
  take(flow: Flow, now: number, count = 1): void {
    this.#fill(flow, now)
    this.#tokens -= count
  }

  /** Whether it tells nothing that a new one would not. */
  isFull(flow: Flow, now: number): boolean {
    this.#fill(flow, now)
    return this.#tokens >= flow.burst - ROUNDING
  }

  #fill({ rate, burst }: Flow, now: number): void {
    const gained =
      rate === Number.POSITIVE_INFINITY ? burst + Math.max(0, -this.#tokens) : ((now - this.#at) / 1_000) * rate
    this.#tokens = Math.min(burst, this.#tokens + gained)
    this.#at = now
  }
}
