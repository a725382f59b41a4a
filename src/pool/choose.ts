import type { Mode } from '../domain/exchange.ts'
import type { HealthState } from '../domain/worker.ts'
import type { Candidate, Choose, Turn } from './candidate.ts'
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
const BEST_FIRST: readonly ((candidate: Candidate) => boolean)[] = [
  ({ health, isDoubted }) => health === 'healthy' && !isDoubted,
  ({ health }) => health === 'healthy',
  ({ health }) => health === 'suspect',
]

/**
 * `sticky` makes no difference between them. Its promise is the exit address, and a suspect worker most often comes
 * back by itself: leaving it would change the address of every session on it, and coming back would change it again,
 * for the sake of at most a few slow requests (which fail over one by one if they must). So a key moves when its worker
 * is dead and not before. The price: a new session may also start on a suspect worker.
 */
const ALIKE: typeof BEST_FIRST = [({ health }) => takesTraffic(health)]

/**
 * Chooses by `mode` from the best tier that has anybody; undefined when no candidate takes traffic. There is no panic
 * rule that would ask the dead: with too few workers left, those are asked, up to their limits, and then nobody.
 */
export function choose<C extends Candidate>(candidates: readonly C[], mode: Mode, turn: Turn): C | undefined {
  for (const isInTier of mode === 'sticky' ? ALIKE : BEST_FIRST) {
    const [first, ...others] = present(candidates.filter(isInTier), mode, turn)
    if (first !== undefined) return CHOOSERS[mode]([first, ...others], turn)
  }
  return undefined
}

/** Those that take this turn. A tier is not left while it has anybody; and a key's worker is the same from the first moment on. */
function present<C extends Candidate>(tier: readonly C[], mode: Mode, { random }: Turn): readonly C[] {
  if (mode === 'sticky') return tier
  const taking = tier.filter(({ share }) => share >= 1 || random.float() < share)
  return taking.length > 0 ? taking : tier
}

export function takesTraffic(health: HealthState): boolean {
  return health === 'healthy' || health === 'suspect'
}
