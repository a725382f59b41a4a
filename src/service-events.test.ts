import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from './lib/fake-clock.ts'
import { silentLogger } from './lib/log.ts'
import { ServiceEvents } from './service-events.ts'

function world() {
  const told = new ServiceEvents({ clock: new FakeClock(), logger: silentLogger, workers: () => [] })
  return {
    told,
    problems: () => told.problems.list().map(({ code, worker }) => [code, worker]),
    types: () => told.events.since(0).entries.map(({ event }) => event.type),
  }
}

describe('ServiceEvents', () => {
  it('shows that the store cannot be written, goes on, and takes it back once it can', () => {
    const { told, problems, types } = world()
    told.keep(() => {
      throw new Error('disk full')
    })
    assert.deepEqual(problems(), [['store_unwritable', undefined]])
    told.keep(() => {})
    assert.deepEqual(problems(), [])
    assert.deepEqual(types(), ['problem_opened', 'problem_closed'])
  })

  it('shows a dead worker as a problem until it takes requests again', () => {
    const { told, problems } = world()
    told.ofWorker('tor01', { type: 'health-changed', from: 'healthy', to: 'dead', reason: 'its process exited' })
    assert.deepEqual(problems(), [['worker_dead', 'tor01']])
    told.ofWorker('tor01', { type: 'health-changed', from: 'recovery', to: 'healthy', reason: 'a probe passed' })
    assert.deepEqual(problems(), [])
  })

  it('forgets the problems of a worker that the operator stops', () => {
    const { told, problems } = world()
    told.ofWorker('tor01', { type: 'health-changed', from: 'healthy', to: 'dead', reason: 'its process exited' })
    told.ofPool({ type: 'desired-changed', worker: 'tor01', from: 'enabled', to: 'stopped' }, true)
    assert.deepEqual(problems(), [])
  })

  it('shows that nobody takes requests', () => {
    const { told, problems } = world()
    told.ofPool({ type: 'health-changed', worker: 'tor01', from: 'healthy', to: 'dead' }, false)
    assert.deepEqual(problems(), [['no_worker', undefined]])
    told.ofPool({ type: 'health-changed', worker: 'tor01', from: 'recovery', to: 'healthy' }, true)
    assert.deepEqual(problems(), [])
  })

  it('tells of a restart by recovery, and not of one that was left out', () => {
    const { told, types } = world()
    const step = { name: 'restart-tor', ok: true, ms: 1 }
    told.ofWorker('tor01', { type: 'recovery-step-ended', attempt: 1, step: { ...step, skipped: true } })
    told.ofWorker('tor01', { type: 'recovery-step-ended', attempt: 2, step })
    assert.deepEqual(types(), ['recovery_step_ended', 'recovery_step_ended', 'tor_restarted'])
  })
})
