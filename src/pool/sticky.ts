import { hash } from 'node:crypto'
import type { Candidate, Candidates, Turn } from './candidate.ts'

/**
 * Rendezvous hashing: every worker has its own score for the key, and the highest wins. The scores of the others do not
 * change when a worker goes, so its keys alone move, spread over those that are left; and exactly they move back when it
 * returns. Nothing has to be remembered, so replicas and restarts agree.
 */
export function sticky<C extends Candidate>(candidates: Candidates<C>, turn: Turn): C {
  const key = fnv1a(turn.key)
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

/** What scores are made of besides the key: by id, so that a worker keeps its keys when another goes. */
export function markOf(text: string): number {
  return hash('sha256', text, 'buffer').readInt32LE()
}

/** FNV-1a of UTF-16 units: a cryptographic hash of the key alone would take as long as all the rest, and now and then ten times that. */
function fnv1a(text: string): number {
  let mixed = 0x811c9dc5
  for (let at = 0; at < text.length; at++) mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193)
  return mixed
}

/** How MurmurHash3 ends. */
function score(mark: number): number {
  let mixed = Math.imul(mark ^ (mark >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
