import type { LiveWorkerBody } from '../api/bodies.ts'
import { GROUPS, type Group, groupOf } from './look.ts'

export const SORTS = {
  number: 'Number',
  state: 'State',
  leases: 'Leases',
  requests: 'Requests/s',
  throughput: 'Throughput',
  failures: 'Failures',
} as const
export type Sort = keyof typeof SORTS

export interface Choice {
  readonly group: Group | 'all'
  /** Words that must all be in what is known of the worker. */
  readonly search: string
  readonly sort: Sort
}

const ORDER: Readonly<Record<Sort, (one: LiveWorkerBody, other: LiveWorkerBody) => number>> = {
  number: () => 0,
  state: (one, other) => GROUPS.indexOf(groupOf(one)) - GROUPS.indexOf(groupOf(other)),
  leases: (one, other) => other.leases - one.leases,
  requests: (one, other) => other.requests_per_s - one.requests_per_s,
  throughput: (one, other) => throughputOf(other) - throughputOf(one),
  failures: (one, other) => other.failures - one.failures,
}

/** The workers to show; those alike stay in the order of their numbers. */
export function chosenWorkers(workers: readonly LiveWorkerBody[], { group, search, sort }: Choice): LiveWorkerBody[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  return workers
    .filter((worker) => group === 'all' || groupOf(worker) === group)
    .filter((worker) => {
      const text = `${worker.id} ${worker.n} ${worker.kind} ${worker.state} ${worker.desired} ${worker.problem ?? ''}`
      return words.every((word) => text.toLowerCase().includes(word))
    })
    .sort((one, other) => ORDER[sort](one, other) || one.n - other.n)
}

export function throughputOf(worker: LiveWorkerBody): number {
  return worker.read_bytes_per_s + worker.written_bytes_per_s
}
