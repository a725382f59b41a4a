import type { Random } from '../lib/random.ts'
import type { HealthPolicy } from './policy.ts'

/** When the next probe is due. Instants are those of `clock.monotonic()`. */
export class ProbePace {
  readonly #random: Random
  readonly #policy: HealthPolicy
  #nextAt: number
  #probedAt = Number.NEGATIVE_INFINITY
  #lastSuccessAt = Number.NEGATIVE_INFINITY

  constructor(random: Random, policy: HealthPolicy, now: number) {
    this.#random = random
    this.#policy = policy
    this.#nextAt = now
  }

  get nextAt(): number {
    return this.#nextAt
  }

  /** When the latest one began. */
  get probedAt(): number {
    return this.#probedAt
  }

  /** A probe begins. */
  begin(now: number): void {
    this.#probedAt = now
    this.#nextAt = now + this.#interval()
  }

  /** The probe that began last has failed: it is to be confirmed, or the worker is down and may be back any moment. */
  hasten(why: 'confirm' | 'down'): void {
    const { recheckEveryMs, downCheckEveryMs } = this.#policy
    const everyMs = why === 'confirm' ? recheckEveryMs : downCheckEveryMs
    if (everyMs !== null) this.#nextAt = Math.min(this.#nextAt, this.#probedAt + everyMs)
  }

  now(now: number): void {
    this.#nextAt = now
    this.#lastSuccessAt = Number.NEGATIVE_INFINITY
  }

  /** A live request has shown the same as a probe. */
  succeeded(now: number): void {
    this.#lastSuccessAt = now
  }

  /** A live request has failed: whatever was shown before holds no more. */
  failed(): void {
    this.#lastSuccessAt = Number.NEGATIVE_INFINITY
  }

  /** Puts the probe that is due off to an interval after the latest live success, though not for ever. False when it may not. */
  putOff(now: number): boolean {
    const { checkEveryMs, maxSkippedProbes } = this.#policy
    const longest = this.#probedAt + (maxSkippedProbes + 1) * checkEveryMs
    const until = Math.min(this.#lastSuccessAt + this.#interval(), longest)
    if (until <= now) return false
    this.#nextAt = until
    return true
  }

  #interval(): number {
    const { checkEveryMs, checkJitter } = this.#policy
    return checkEveryMs * (1 - checkJitter * this.#random.float())
  }
}
