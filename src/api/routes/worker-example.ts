import type { InspectedWorkerBody } from '../schemas/inspected-worker.ts'
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
  last_recovery: null,
  next_action: { type: 'probe', at: '2026-01-31T12:04:20.000Z', reason: null },
  requests: 301,
  failures: 0,
}

export const INSPECTED_WORKER: InspectedWorkerBody = {
  ...WORKER,
  kind: 'openwrt',
  circuits: [
    {
      id: '17',
      status: 'BUILT',
      purpose: 'GENERAL',
      path: [
        {
          nickname: 'guard1',
          fingerprint: '00112233445566778899AABBCCDDEEFF00112233',
          address: '198.51.100.17',
          country: 'nl',
        },
        {
          nickname: 'middle4',
          fingerprint: '112233445566778899AABBCCDDEEFF0011223344',
          address: '203.0.113.80',
          country: 'se',
        },
        {
          nickname: 'exit2',
          fingerprint: 'A1B2C3D4E5F60718293A4B5C6D7E8F9001122334',
          address: '192.0.2.44',
          country: 'de',
        },
      ],
      age_s: 42,
    },
  ],
  guards: [{ nickname: 'guard1', fingerprint: '00112233445566778899AABBCCDDEEFF00112233', status: 'up' }],
  traffic: { read_bytes: 8_412_332, written_bytes: 1_204_118 },
  clock_skew_s: null,
  consensus: { valid_until: '2026-01-31T15:00:00.000Z', age_s: 252 },
  box: {
    ssh: 'connected',
    tunnel: { handshake_age_s: 73, problems: [] },
    node: { state: 'HEALTHY', reason: null, age_s: 31 },
  },
  not_told: null,
}
