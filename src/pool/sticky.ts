import { hash } from 'node:crypto'
import type { Candidate, Candidates, Turn } from './candidate.ts'

/**
 * Rendezvous hashing: every worker has its own score for the key, and the highest wins. The scores of the others do not
 * change when a worker goes, so its keys alone move, spread over those that are left; and exactly they move back when it
 * returns. Nothing has to be remembered, so replicas and restarts agree.
 */
export function sticky<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  const key = markOf(turn.key)
  let best = candidates[0]
  let most = -1
  for (const candidate of candidates) {
    const own = score(candidate.mark ^ key)
    if (own < most || (own === most && candidate.name.id < best.name.id)) continue
    best = candidate
    most = own
  }
  return best
}

/** What scores are made of: of a key and, once and for all, of a worker's id. By id, so that a worker keeps its keys when another goes. */
export function markOf(text: string): number {
  return hash('sha256', text, 'buffer').readInt32LE()
}

/** How MurmurHash3 ends: a cryptographic hash for each of a thousand workers would take half a millisecond of each request. */
function score(mark: number): number {
  let mixed = Math.imul(mark ^ (mark >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
