import type { Mode } from '../domain/exchange.ts'
import { type Candidate, isSome } from './candidate.ts'
import { bestTier, isOfTier } from './choose.ts'
import { placeAfter } from './round-robin.ts'

export interface TierRule<C> {
  /** Whether it may be asked at all. */
  mayTake(candidate: C): boolean
}

/** By mode, those that are asked as long as no candidate changes in what `bestTier` looks at: there may be a thousand. */
export class Tiers<C extends Candidate> {
  readonly #rule: TierRule<C>
  readonly #byMode = new Map<Mode, C[]>()

  constructor(rule: TierRule<C>) {
    this.#rule = rule
  }

  /** `candidates`: all of them, by number. What it returns holds until something changes. */
  of(mode: Mode, candidates: readonly C[]): readonly C[] {
    const known = this.#byMode.get(mode)
    if (known !== undefined) return known
    const tier: C[] = []
    bestTier(candidates, mode, (candidate) => this.#rule.mayTake(candidate), tier)
    this.#byMode.set(mode, tier)
    return tier
  }

  /** Something has changed, or somebody has gone. */
  clear(): void {
    this.#byMode.clear()
  }

  /** One has become full, or has room again. That comes with every other request of a busy worker: tiers are not made anew for it. */
  resized(candidate: C): void {
    const mayTake = this.#rule.mayTake(candidate)
    for (const [mode, tier] of this.#byMode) {
      const place = placeAfter(tier, candidate.name.n - 1)
      if (!mayTake) {
        if (tier[place] === candidate) tier.splice(place, 1)
        if (!isSome(tier)) this.#byMode.delete(mode)
        continue
      }
      const belongs = isSome(tier) ? isOfTier(tier, mode, candidate) : undefined
      if (belongs === undefined) this.#byMode.delete(mode)
      else if (belongs) tier.splice(place, 0, candidate)
    }
  }
}
