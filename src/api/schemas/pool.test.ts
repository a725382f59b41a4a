import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DesiredState, HealthState } from '../../domain/worker.ts'
import { fakeWorker } from '../fake-backend.ts'
import type { WorkerView } from '../views.ts'
import { toHealthBody, toStatusBody } from './pool.ts'

function worker(n: number, state: HealthState, desired: DesiredState = 'enabled'): WorkerView {
  const receivesTraffic = desired === 'enabled' && (state === 'healthy' || state === 'suspect')
  return { ...fakeWorker(n), state, desired, receivesTraffic }
}

describe('the status of the pool', () => {
  const statusOf = (...workers: WorkerView[]) => toHealthBody('random', workers, []).status

  it('is healthy when every enabled worker is', () => {
    assert.equal(statusOf(worker(1, 'healthy'), worker(2, 'healthy')), 'healthy')
    assert.equal(statusOf(worker(1, 'healthy'), worker(2, 'dead', 'stopped')), 'healthy')
  })

  it('is degraded when an enabled worker is not, but some worker takes traffic', () => {
    for (const state of ['starting', 'suspect', 'dead', 'recovery'] as const) {
      assert.equal(statusOf(worker(1, 'healthy'), worker(2, state)), 'degraded', state)
    }
    assert.equal(statusOf(worker(1, 'suspect')), 'degraded')
  })

  it('is down when no worker takes traffic', () => {
    assert.equal(statusOf(worker(1, 'dead'), worker(2, 'healthy', 'drained')), 'down')
    assert.equal(statusOf(), 'down')
  })
})

it('sums the pool up', () => {
  const exited = { ...worker(3, 'dead'), process: { state: 'exited', pid: undefined, startedAt: undefined } } as const
  const workers = [worker(1, 'healthy'), worker(2, 'healthy', 'drained'), { ...exited, torVersion: undefined }]
  assert.deepEqual(toStatusBody('sticky', workers, { version: '1', startedAt: 0 }), {
    status: 'degraded',
    mode: 'sticky',
    service: { version: '1', started_at: '1970-01-01T00:00:00.000Z' },
    workers: {
      total: 3,
      receiving_traffic: 1,
      by_state: { starting: 0, healthy: 2, suspect: 0, dead: 1, recovery: 0 },
      by_desired: { enabled: 2, drained: 1, stopped: 0 },
    },
    tor: { running: 2, bootstrapped: 2, versions: ['0.4.9.11'] },
    leases: 6,
    requests: 30,
    failures: 3,
  })
})
