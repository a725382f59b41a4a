import type { Candidate, Candidates, Turn } from './candidate.ts'

/**
 * The next number after the last one chosen, going around. The turn has to pass every candidate before it comes back to
 * one, so two workers that are both there all the time never differ by more than one, whoever else comes and goes.
 */
export function roundRobin<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  return candidates[placeAfter(candidates, turn.after)] ?? candidates[0]
}

/** How many candidates have this number or a lower one. */
export function placeAfter(candidates: readonly Candidate[], n: number): number {
  let [from, to] = [0, candidates.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((candidates[middle]?.name.n ?? 0) > n) to = middle
    else from = middle + 1
  }
  return from
}
