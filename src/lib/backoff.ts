import type { Random } from './random.ts'

/** The wait before attempt `attempt` (0 is the first retry): full jitter under a doubling ceiling. */
export function backoffMs(attempt: number, baseMs: number, capMs: number, random: Random): number {
  return random.float() * Math.min(capMs, baseMs * 2 ** attempt)
}
