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
 * Chooses by `mode` from the best tier that has anybody; undefined when no candidate takes traffic. There is no panic
 * rule that would ask the dead: with too few workers left, those are asked, up to their limits, and then nobody. Who may not be asked
 * for other reasons is left out by `mayTake`. `room` is what it works in: whoever chooses often keeps one.
 */
export function choose<C extends Candidate>(
  candidates: readonly C[],
  mode: Mode,
  turn: Turn,
  mayTake: (candidate: C) => boolean = () => true,
  room: C[] = [],
): C | undefined {
  const tier = bestTier(candidates, mode === 'sticky' ? alike : tierOf, mayTake, room)
  return isSome(tier) ? CHOOSERS[mode](present(tier, mode, turn), turn) : undefined
}

/** In one pass, and in `room`: there may be a thousand candidates. */
function bestTier<C extends Candidate>(
  candidates: readonly C[],
  tierOfOne: (candidate: C) => number,
  mayTake: (candidate: C) => boolean,
  room: C[],
): readonly C[] {
  let best = NONE
  let size = 0
  for (const candidate of candidates) {
    const own = tierOfOne(candidate)
    if (own > best || own === NONE || !mayTake(candidate)) continue
    if (own < best) size = 0
    best = own
    room[size++] = candidate
  }
  room.length = size
  return room
}

/** Those that take this turn. A tier is not left while it has anybody; and a key's worker is the same from the first moment on. */
function present<C extends Candidate>(tier: Candidates<C>, mode: Mode, { random }: Turn): Candidates<C> {
  if (mode === 'sticky' || tier.every(({ share }) => share >= 1)) return tier
  const taking = tier.filter(({ share }) => share >= 1 || random.float() < share)
  return isSome(taking) ? taking : tier
}

export function takesTraffic(health: HealthState): boolean {
  return health === 'healthy' || health === 'suspect'
}
