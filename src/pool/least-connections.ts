import type { Candidate, Candidates, Turn } from './candidate.ts'
import { roundRobin } from './round-robin.ts'

/** The one with the fewest leases. Equals take turns: always taking the first would wear it out in a quiet pool. */
export function leastConnections<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  const fewest = Math.min(...candidates.map(({ leases }) => leases))
  const [first = candidates[0], ...others] = candidates.filter(({ leases }) => leases === fewest)
  return roundRobin([first, ...others], turn)
}
