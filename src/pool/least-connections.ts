import type { Candidate, Candidates, Turn } from './candidate.ts'

/** The one with the fewest leases. Equals take turns, as in `roundRobin`: always taking the first would wear it out in a quiet pool. */
export function leastConnections<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  let fewest = Number.POSITIVE_INFINITY
  for (const { load } of candidates) if (load < fewest) fewest = load
  let idlest: C | undefined
  for (const candidate of candidates) {
    if (candidate.load !== fewest) continue
    if (candidate.name.n > turn.after) return candidate
    idlest ??= candidate
  }
  return idlest ?? candidates[0]
}
