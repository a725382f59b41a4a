import type { Candidate, Candidates, Turn } from './candidate.ts'

/**
 * The next number after the last one chosen, going around. The turn has to pass every candidate before it comes back to
 * one, so two workers that are both there all the time never differ by more than one, whoever else comes and goes.
 */
export function roundRobin<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  return candidates.find(({ name }) => name.n > turn.after) ?? candidates[0]
}
