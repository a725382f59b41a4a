import type { HealthState, WorkerName } from '../domain/worker.ts'
import type { Random } from '../lib/random.ts'

/** What a balancing mode may know of a worker that can take the request. */
export interface Candidate {
  readonly name: WorkerName
  /** `markOf` what all replicas call it. */
  readonly mark: number
  readonly health: HealthState
  /** Whether something speaks against it that is not confirmed. */
  readonly isDoubted: boolean
  /** The part of its turns that it takes: less than 1 for a while after a failure. */
  readonly share: number
  /** Leases running now, at all replicas. */
  readonly load: number
}

/** At least one: a mode never has to decide what to do with nobody. Ordered by number, so in configured order. */
export type Candidates<C extends Candidate> = readonly [C, ...C[]]

export function isSome<C extends Candidate>(candidates: readonly C[]): candidates is Candidates<C> {
  return candidates.length > 0
}

/** What a mode decides by, besides the candidates. */
export interface Turn {
  /** The request's key: only `sticky` looks at it. */
  readonly key: string
  /** The number of the worker that this mode chose last; 0 when it has chosen none. */
  readonly after: number
  readonly random: Random
}

/** A balancing mode: pure but for the draw of `turn.random`, and never without an answer. */
export type Choose = <C extends Candidate>(candidates: Candidates<C>, turn: Turn) => C
