import type { Target } from './domain/worker.ts'
import type { Lease as FetchLease, WorkerStream } from './fetch/worker-source.ts'
import type { Lease } from './pool/pool.ts'
import type { WorkerUnit } from './worker-unit.ts'

/** The pool's lease, in the words of `fetch`. `opened` is told of each stream of a caller, whose it is and through which worker. */
export function leaseOf(
  lease: Lease<WorkerUnit>,
  opened: (owner: string, stream: WorkerStream, worker: string) => void,
): FetchLease {
  const { member } = lease
  let asked: Target | undefined
  return {
    worker: member.name,
    async connect(target, identity, signal, options) {
      asked = target
      const stream = await member.connect(target, identity, signal, options)
      if (identity.owner !== undefined) opened(identity.owner, stream, member.name.id)
      return stream
    },
    resolve: (host, identity, signal) => member.resolve(host, identity, signal),
    forget: (identity) => member.forget(identity),
    report: (outcome) => member.report(outcome, asked),
    stands: () => lease.stands(),
    stalled: (phase) => member.stalled(`a request hangs (${phase})`),
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  }
}
