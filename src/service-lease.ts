import type { Target } from './domain/worker.ts'
import type { Lease as FetchLease } from './fetch/worker-source.ts'
import type { Lease } from './pool/pool.ts'
import type { WorkerUnit } from './worker-unit.ts'

/** The pool's lease, in the words of `fetch`. */
export function leaseOf(lease: Lease<WorkerUnit>): FetchLease {
  const { member } = lease
  let asked: Target | undefined
  return {
    worker: member.name,
    connect(target, identity, signal, options) {
      asked = target
      return member.connect(target, identity, signal, options)
    },
    resolve: (host, identity, signal) => member.resolve(host, identity, signal),
    forget: (identity) => member.forget(identity),
    report: (outcome) => member.report(outcome, asked),
    stands: () => lease.stands(),
    stalled: (phase) => member.stalled(`a request hangs (${phase})`),
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  }
}
