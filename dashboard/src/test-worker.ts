import type { LiveBody, LiveWorkerBody } from './api/bodies.ts'

/** A healthy worker for tests, with what is another about it. */
export function testWorker(n: number, other: Partial<LiveWorkerBody> = {}): LiveWorkerBody {
  return {
    ...{ id: `tor0${n}`, n, kind: 'local', desired: 'enabled', state: 'healthy', since: '2026-01-31T12:00:00.000Z' },
    ...{ consecutive_failures: 0, receives_traffic: true, tor_version: '0.4.9.11', leases: 0, problem: null },
    process: { state: 'running', pid: 4_711, started_at: '2026-01-31T11:59:48.000Z' },
    bootstrap: { progress: 100, tag: 'done', summary: 'Done' },
    ...{ last_check: null, last_recovery: null, next_action: null, requests: 0, failures: 0 },
    history: [{ state: 'healthy', since: '2026-01-31T12:00:00.000Z' }],
    ...{ requests_per_s: 0, read_bytes_per_s: 0, written_bytes_per_s: 0 },
    ...other,
  }
}

/** One look at a service of these workers. */
export function testLook(workers: LiveWorkerBody[], other: Partial<LiveBody> = {}): LiveBody {
  const takes = workers.some(({ receives_traffic: takes }) => takes)
  const isWell = workers.every(({ desired, state }) => desired !== 'enabled' || state === 'healthy')
  return {
    ...{ at: '2026-01-31T12:10:00.000Z', version: '0.1.0', started_at: '2026-01-31T11:59:40.000Z' },
    pool: {
      ...{ state: takes ? (isWell ? 'ok' : 'degraded') : 'down', mode: 'round_robin', window_s: 60 },
      ...{ requests_per_s: 0, success_ratio: null, p50_ms: null, p95_ms: null, leases: 0, waiting: 0, tunnels: 0 },
      ...{ read_bytes_per_s: 0, written_bytes_per_s: 0 },
    },
    ...{ series: [], problems: [], workers, requests: [], requests_total: 0 },
    ...other,
  }
}
