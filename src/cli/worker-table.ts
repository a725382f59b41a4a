import type { Worker } from '../client/client.ts'
import { showAge, showCountdown, showMs } from './spans.ts'
import { formatTable } from './table.ts'

/** A line for each worker. `now`: epoch milliseconds. */
export function workerTable(workers: readonly Worker[], now: number): string {
  const header = ['n', 'worker', 'kind', 'desired', 'state', 'for', 'in hand', 'requests', 'failed', 'check', 'next']
  return formatTable(
    header,
    workers.map((worker) => [
      ...[String(worker.n), worker.id, worker.kind, worker.desired, worker.state, showAge(worker.since, now)],
      ...[worker.leases, worker.requests, worker.failures].map(String),
      showCheck(worker),
      showNext(worker, now),
    ]),
  )
}

function showCheck({ last_check: check }: Worker): string {
  if (check === null) return ''
  return check.ok ? (check.latency_ms === null ? 'ok' : showMs(check.latency_ms)) : 'failed'
}

/** What will be done by itself, and when. */
export function showNext({ next_action: next }: Pick<Worker, 'next_action'>, now: number): string {
  return next === null ? '' : `${next.type} ${showCountdown(next.at, now)}`
}
