import type { Mode } from '../domain/exchange.ts'
import type { HealthState } from '../domain/worker.ts'
import { type Candidate, type Candidates, type Choose, isSome, type Turn } from './candidate.ts'
import { failover } from './failover.ts'
import { leastConnections } from './least-connections.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'
import { sticky } from './sticky.ts'

const CHOOSERS: Record<Mode, Choose> = {
  round_robin: roundRobin,
  sticky,
  random,
  least_connections: leastConnections,
  failover,
}

/**
 * Who is asked first: one tier only when those before it have nobody left. Doubt weighs less than suspicion: it is there
 * within a second or two of a worker's silence, long before the thresholds of suspicion are reached.
 */
function tierOf({ health, isDoubted }: Candidate): number {
  if (health === 'healthy') return isDoubted ? 1 : 0
  return health === 'suspect' ? 2 : NONE
}

/** That of those who take no traffic. */
const NONE = Number.POSITIVE_INFINITY

/**
 * `sticky` makes no difference between them. Its promise is the exit address, and a suspect worker most often comes
 * back by itself: leaving it would change the address of every session on it, and coming back would change it again,
 * for the sake of at most a few slow requests (which fail over one by one if they must). So a key moves when its worker
 * is dead and not before. The price: a new session may also start on a suspect worker.
 */
function alike({ health }: Candidate): number {
  return takesTraffic(health) ? 0 : NONE
}

/**
 * Those that are asked now, in their order; empty when none takes traffic. There is no panic rule that would
 * ask the dead: with too few workers left, those are asked, up to their limits, and then nobody. Who may not be asked for other reasons is
 * left out by `mayTake`. In one pass: there may be a thousand candidates. `room` is what it works in: whoever asks often keeps one.
 */
export function bestTier<C extends Candidate>(
  candidates: readonly C[],
  mode: Mode,
  mayTake: (candidate: C) => boolean = () => true,
  room: C[] = [],
): readonly C[] {
  const rankOf = mode === 'sticky' ? alike : tierOf
  let best = NONE
  let size = 0
  for (const candidate of candidates) {
    const own = rankOf(candidate)
    if (own > best || own === NONE || !mayTake(candidate)) continue
    if (own < best) size = 0
    best = own
    room[size++] = candidate
  }
  room.length = size
  return room
}

/** Whether the candidate, if it may be asked, goes with those of this tier: undefined when the tier would be another one. */
export function isOfTier<C extends Candidate>(tier: Candidates<C>, mode: Mode, candidate: C): boolean | undefined {
  const rankOf = mode === 'sticky' ? alike : tierOf
  const [own, its] = [rankOf(candidate), rankOf(tier[0])]
  return own < its ? undefined : own === its
}

/**
 * Chooses by `mode` from a tier, which is not left while it has anybody. Who takes a part of its turns only leaves the others to those
 * beside it; but a key's worker is the same from the first moment on.
 */
export function choose<C extends Candidate>(tier: Candidates<C>, mode: Mode, turn: Turn): C {
  for (let left = tier; ; ) {
    const chosen = CHOOSERS[mode](left, turn)
    if (mode === 'sticky' || chosen.share >= 1 || turn.random.float() < chosen.share) return chosen
    const others = left.filter((other) => other !== chosen)
    if (!isSome(others)) return CHOOSERS[mode](tier, turn)
    left = others
  }
}

export function takesTraffic(health: HealthState): boolean {
  return health === 'healthy' || health === 'suspect'
}
