import type { WorkerName } from './domain/worker.ts'
import type { TestWorkers } from './fetch/test-lab.ts'
import type { WorkerSource, WorkerStream } from './fetch/worker-source.ts'
import type { Pool } from './pool/pool.ts'

/** Workers that a pool chooses, which dial what is served. `onStream` is told of each stream, with the owner of its identity. */
export function poolSource(
  pool: Pool<{ readonly name: WorkerName }>,
  connects: TestWorkers,
  onStream: (owner: string, socket: WorkerStream['socket']) => void = () => {},
): WorkerSource {
  return {
    acquire(selection, tried, busy) {
      const lease = pool.acquire(selection, tried, busy)
      const inner = connects.acquire({ ...selection, workerId: lease.member.name.id }, new Set())
      return {
        ...inner,
        async connect(target, identity, signal, options) {
          const stream = await inner.connect(target, identity, signal, options)
          onStream(identity.owner ?? '', stream.socket)
          return stream
        },
        stands: () => lease.stands(),
        [Symbol.dispose]() {
          inner[Symbol.dispose]()
          lease[Symbol.dispose]()
        },
      }
    },
  }
}
