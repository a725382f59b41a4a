/** What the parts of the simulation tell of one size of pool: a JSON object on their standard output. */

import type { Mode } from '../../src/domain/exchange.ts'

export interface PoolFigures {
  readonly workers: number
  /** Of one choice of a worker; microseconds. */
  readonly picks: Readonly<Record<Mode, Percentiles>>
  /** Of the end of a request: the lease that is given back, and what came of it, which one in fifty times is a failure. */
  readonly ends: Readonly<Record<Mode, Percentiles>>
  /** Choices in a second, while they were measured. */
  readonly perSecond: number
  /** Of one core: pulses, probes (without what they fetch), judgement and healing of the pool, with nothing else going on. */
  readonly healthShare: number
  /** How late a timer is while requests are placed; milliseconds. */
  readonly lagP99: number
}

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

export interface ReplicaFigures {
  readonly workers: number
  readonly replicas: number
  /** Of one core, of one replica, with nothing to do but to watch over its workers. */
  readonly idleShare: number
  /** Of one replica: what the kernel counts, and what of it are objects. MB. */
  readonly residentMb: number
  readonly heapMb: number
  /** Of the store; undefined where there is none. */
  readonly store: StoreFigures | undefined
}

export interface StoreFigures {
  /** Of one core. */
  readonly share: number
  readonly commandsPerSecond: number
  readonly kbPerSecond: number
  readonly mb: number
}

export const MODES_MEASURED = ['round_robin', 'sticky', 'random', 'least_connections', 'failover'] as const

/** Of each hundred workers, so many never pass a check: the pool is to be measured at work. */
export const BROKEN_PERCENT = 2

export function workerIds(count: number): readonly string[] {
  const digits = Math.max(2, `${count}`.length)
  return Array.from({ length: count }, (_, index) => `w${String(index + 1).padStart(digits, '0')}`)
}

export function isBroken(id: string): boolean {
  return Number(id.slice(1)) % 100 < BROKEN_PERCENT && Number(id.slice(1)) > BROKEN_PERCENT
}
