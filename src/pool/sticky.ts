import { hash } from 'node:crypto'
import type { Candidate, Candidates, Turn } from './candidate.ts'

/**
 * Rendezvous hashing: every worker has its own score for the key, and the highest wins. The scores of the others do not
 * change when a worker goes, so its keys alone move, spread over those that are left; and exactly they move back when it
 * returns. Nothing has to be remembered, so replicas and restarts agree.
 */
export function sticky<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  return candidates.map((candidate) => ({ candidate, score: score(candidate.name.id, turn.key) })).reduce(higher)
    .candidate
}

interface Scored<C> {
  readonly candidate: C
  readonly score: string
}

function higher<C>(a: Scored<C>, b: Scored<C>): Scored<C> {
  return b.score > a.score ? b : a
}

/** By id, not by number: a worker keeps its keys when another is taken out of the configuration. */
function score(id: string, key: string): string {
  return hash('sha256', `${id}\0${key}`, 'hex')
}
