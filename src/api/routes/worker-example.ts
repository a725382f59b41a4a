import type { WorkerBody } from '../schemas/worker.ts'

/** For the documents. */
export const WORKER: WorkerBody = {
  id: 'tor01',
  n: 1,
  kind: 'local',
  desired: 'enabled',
  state: 'healthy',
  since: '2026-01-31T12:00:00.000Z',
  consecutive_failures: 0,
  receives_traffic: true,
  process: { state: 'running', pid: 4_711, started_at: '2026-01-31T11:59:48.000Z' },
  bootstrap: { progress: 100, tag: 'done', summary: 'Done' },
  tor_version: '0.4.9.11',
  leases: 3,
  problem: null,
  last_check: { at: '2026-01-31T12:04:10.000Z', ok: true, latency_ms: 640, error: null },
  requests: 301,
  failures: 0,
}
