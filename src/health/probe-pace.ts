import type { Random } from '../lib/random.ts'
import type { HealthPolicy } from './policy.ts'

/** When the next probe is due. Instants are those of `clock.monotonic()`. */
export class ProbePace {
  readonly #random: Random
  readonly #policy: HealthPolicy
  #nextAt: number
  #probedAt = Number.NEGATIVE_INFINITY
  /** When a probe of a suspect worker counts again: more often than at the original's pace it may pass, and not fail. */
  #countsAt = Number.NEGATIVE_INFINITY
  #lastSuccessAt = Number.NEGATIVE_INFINITY
  /** Whether other workers' probes may be due at the same moment: what made this one due is common to all. */
  #isInStep = true
  /** Somebody asked for the next probe: nothing that was seen before takes its place. */
  #isWanted = false

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

  /** When the next probe at the regular pace is due. */
  get regularAt(): number {
    return this.#countsAt
  }

  /** A probe begins. Whether it is one at the regular pace. */
  begin(now: number): boolean {
    this.#probedAt = now
    this.#isWanted = false
    const isRegular = now >= this.#countsAt
    if (isRegular) {
      this.#countsAt = now + this.#interval(this.#isInStep)
      this.#isInStep = false
    }
    this.#nextAt = this.#countsAt
    return isRegular
  }

  /** The probe that began last has failed: it is to be confirmed, or the worker may be well again any moment. */
  hasten(why: 'confirm' | 'ill'): void {
    const { recheckEveryMs, illCheckEveryMs } = this.#policy
    const everyMs = why === 'confirm' ? recheckEveryMs : illCheckEveryMs
    if (everyMs !== null) this.#nextAt = Math.min(this.#nextAt, this.#probedAt + everyMs)
  }

  /** The policy has other intervals: nothing is due later than they say. */
  reconfigured(now: number): void {
    this.#countsAt = Math.min(this.#countsAt, now + this.#interval())
    this.#nextAt = Math.min(this.#nextAt, this.#countsAt)
  }

  now(now: number): void {
    this.#nextAt = now
    this.#countsAt = now
    this.#isInStep = true
    this.#isWanted = true
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
    this.#isInStep = true // traffic ends for all at once
    return true
  }

  /** Another gateway has found it well, and that holds until then: what is due is put off by an interval. False when it may not. */
  putOffUntil(until: number, now: number): boolean {
    if (until <= now || this.#isWanted) return false
    this.#nextAt = Math.min(until, now + this.#interval())
    this.#isInStep = true
    return true
  }

  #interval(isFirst = false): number {
    const { checkEveryMs, checkJitter, firstCheckJitter } = this.#policy
    return checkEveryMs * (1 - (isFirst ? firstCheckJitter : checkJitter) * this.#random.float())
  }
}
