import type { Candidate, Candidates } from './candidate.ts'

/** The first in configured order: a primary, and backups that are used only while those before them are not there. */
export function failover<C extends Candidate>(candidates: Candidates<C>): C {
  return candidates[0]
}
