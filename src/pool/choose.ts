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

/** The tiers of health that take traffic: one is asked only when those before it have nobody left. */
const HEALTHY_FIRST: readonly (readonly HealthState[])[] = [['healthy'], ['suspect']]

/**
 * `sticky` makes no difference between the two. Its promise is the exit address, and a suspect worker most often comes
 * back by itself: leaving it would change the address of every session on it, and coming back would change it again,
 * for the sake of at most a few slow requests (which fail over one by one if they must). So a key moves when its worker
 * is dead and not before. The price: a new session may also start on a suspect worker, for nobody remembers which
 * sessions are new.
 */
const ALIKE: readonly (readonly HealthState[])[] = [['healthy', 'suspect']]

/** Chooses by `mode` from the best tier that has anybody; undefined when no candidate takes traffic. */
export function choose<C extends Candidate>(candidates: readonly C[], mode: Mode, turn: Turn): C | undefined {
  for (const tier of mode === 'sticky' ? ALIKE : HEALTHY_FIRST) {
    const [first, ...others] = candidates.filter(({ health }) => tier.includes(health))
    if (first !== undefined) return CHOOSERS[mode]([first, ...others], turn)
  }
  return undefined
}

export function takesTraffic(health: HealthState): boolean {
  return ALIKE.some((tier) => tier.includes(health))
}
