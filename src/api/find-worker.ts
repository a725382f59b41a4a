import { CbtorError } from '../domain/errors.ts'
import { printable } from '../lib/printable.ts'
import type { WorkerView } from './views.ts'

/** The worker that a caller names by id or number; a number may come as text, from a path. */
export function findWorker(workers: readonly WorkerView[], ref: string | number): WorkerView {
  const n = /^\d{1,4}$/.test(String(ref)) ? Number(ref) : undefined
  const worker = workers.find((each) => (n === undefined ? each.id === ref : each.n === n))
  if (worker !== undefined) return worker
  throw new CbtorError(
    'worker_not_found',
    `Cannot find worker "${printable(String(ref))}": it is neither a worker's id nor a number from 1 to ${Math.max(...workers.map(({ n: each }) => each))}`,
  )
}
