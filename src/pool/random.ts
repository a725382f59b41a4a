import type { Candidate, Candidates, Turn } from './candidate.ts'

/** Each with the same probability. */
export function random<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  return candidates[turn.random.int(candidates.length)] ?? candidates[0]
}
