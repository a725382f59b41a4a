import { type Candidate, type Candidates, isSome, type Turn } from './candidate.ts'
import { roundRobin } from './round-robin.ts'

/** The one with the fewest leases. Equals take turns: always taking the first would wear it out in a quiet pool. */
export function leastConnections<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  let fewest = Number.POSITIVE_INFINITY
  let idlest: C[] = []
  for (const candidate of candidates) {
    const { load } = candidate
    if (load > fewest) continue
    if (load < fewest) idlest = []
    fewest = load
    idlest.push(candidate)
  }
  return roundRobin(isSome(idlest) ? idlest : candidates, turn)
}
