import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { type ServiceEvent, severityOf } from '../domain/events.ts'
import type { HealthState } from '../domain/worker.ts'
import { Metrics } from './metrics.ts'

function createMetrics() {
  const state: { health: HealthState; leases: number } = { health: 'healthy', leases: 2 }
  const metrics = new Metrics({ workers: () => [{ worker: 'tor01', receivesTraffic: true, ...state }] })
  const record = (event: ServiceEvent) =>
    metrics.eventRecorded({ id: 1, at: 0, severity: severityOf(event), text: '', event })
  return { metrics, state, record }
}

const TIMING = { queueMs: 0, connectMs: 0, tlsMs: 0, firstByteMs: 0, bodyMs: 0, totalMs: 700 }

async function lineOf(metrics: Metrics, start: string): Promise<string | undefined> {
  return (await metrics.text()).split('\n').find((line) => line.startsWith(start))
}

describe('Metrics', () => {
  it('shows jobs as they are at each scrape, where there are any', async () => {
    let running = 1
    const jobs = () => ({ jobs: { running, done: 2, cancelled: 0 }, running: 3, bytes: 4_000 })
    const metrics = new Metrics({ workers: () => [], jobs })
    assert.ok(await lineOf(metrics, 'cbtor_jobs{state="running"} 1'))
    running = 0
    const text = await metrics.text()
    for (const line of [
      'cbtor_jobs{state="running"} 0',
      'cbtor_jobs{state="done"} 2',
      'cbtor_job_fetches_running 3',
      'cbtor_jobs_stored_bytes 4000',
    ])
      assert.ok(text.includes(`${line}\n`), line)
    assert.ok(!(await new Metrics({ workers: () => [] }).text()).includes('cbtor_jobs{'))
  })

  it('counts requests and their attempts by worker and outcome, and how long they took', async () => {
    const { metrics } = createMetrics()
    const attempts = [
      { worker: 'tor02', outcome: 'tor_timeout', ms: 500 },
      { worker: 'tor01', outcome: 'ok', ms: 200 },
    ] as const
    metrics.requestAnswered({ worker: 'tor01', attempts, timing: TIMING })
    metrics.requestFailed(new CbtorError('tor_failure', 'no', { attempts: attempts.slice(0, 1) }), 20_000)
    metrics.requestFailed(new CbtorError('no_worker', 'none'), 1)
    metrics.requestFailed(new TypeError('a bug'), 1)
    const text = await metrics.text()
    for (const line of [
      'cbtor_requests_total{worker="tor01",outcome="ok"} 1',
      'cbtor_requests_total{worker="tor02",outcome="tor_failure"} 1',
      'cbtor_requests_total{worker="",outcome="no_worker"} 1',
      'cbtor_requests_total{worker="",outcome="internal"} 1',
      'cbtor_attempts_total{worker="tor02",outcome="tor_timeout"} 2',
      'cbtor_attempts_total{worker="tor01",outcome="ok"} 1',
      'cbtor_request_duration_seconds_bucket{le="0.5",outcome="ok"} 0',
      'cbtor_request_duration_seconds_bucket{le="1",outcome="ok"} 1',
      'cbtor_request_duration_seconds_count{outcome="failed"} 3',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
    }
  })

  it('counts tunnels that stand, those that have ended or never stood, and what went through them', async () => {
    const { metrics } = createMetrics()
    const tunnel = { worker: 'tor01', attempts: [{ worker: 'tor01', outcome: 'ok', ms: 200 }] } as const
    metrics.tunnelOpened(tunnel)
    metrics.tunnelOpened(tunnel)
    metrics.tunnelEnded('tor01', 'client_gone', { bytesRead: 500, bytesWritten: 70 })
    metrics.tunnelClosed('tor01')
    const attempts = [{ worker: 'tor02', outcome: 'tor_timeout', ms: 500 }] as const
    metrics.tunnelFailed(new CbtorError('tor_timeout', 'no', { attempts }))
    metrics.tunnelFailed(new CbtorError('no_worker', 'none'))
    const lines = (await metrics.text()).split('\n')
    for (const line of [
      'cbtor_tunnels_open{worker="tor01"} 1',
      'cbtor_tunnels_total{worker="tor01",outcome="client_gone"} 1',
      'cbtor_tunnels_total{worker="tor02",outcome="tor_timeout"} 1',
      'cbtor_tunnels_total{worker="",outcome="no_worker"} 1',
      'cbtor_tunnel_bytes_total{direction="received"} 500',
      'cbtor_tunnel_bytes_total{direction="sent"} 70',
      'cbtor_attempts_total{worker="tor01",outcome="ok"} 2',
      'cbtor_attempts_total{worker="tor02",outcome="tor_timeout"} 1',
    ]) {
      assert.ok(lines.includes(line), line)
    }
  })

  it('reads the gauges of workers at each scrape', async () => {
    const { metrics, state } = createMetrics()
    assert.equal(await lineOf(metrics, 'cbtor_worker_leases{'), 'cbtor_worker_leases{worker="tor01"} 2')
    state.leases = 0
    state.health = 'dead'
    assert.equal(await lineOf(metrics, 'cbtor_worker_leases{'), 'cbtor_worker_leases{worker="tor01"} 0')
    const health = (name: string) => lineOf(metrics, `cbtor_worker_health{worker="tor01",state="${name}"}`)
    assert.match((await health('dead')) ?? '', / 1$/)
    assert.match((await health('healthy')) ?? '', / 0$/)
    assert.match((await lineOf(metrics, 'cbtor_worker_receives_traffic{')) ?? '', / 1$/)
  })

  it('counts probes, events, recoveries and restarts, and shows which problems are open', async () => {
    const { metrics, record } = createMetrics()
    metrics.probeEnded('tor01', 'failed')
    record({ type: 'recovery_ended', worker: 'tor01', attempt: 1, ok: false, ms: 1 })
    record({ type: 'tor_restarted', worker: 'tor01', by: 'recovery' })
    record({ type: 'problem_opened', code: 'no_worker', severity: 'error', text: 'none' })
    const has = async (line: string) => assert.equal(await lineOf(metrics, line.slice(0, -2)), line)
    await has('cbtor_probes_total{worker="tor01",verdict="failed"} 1')
    await has('cbtor_recoveries_total{worker="tor01",outcome="failed"} 1')
    await has('cbtor_tor_restarts_total{worker="tor01",by="recovery"} 1')
    await has('cbtor_events_total{type="recovery_ended",severity="warn"} 1')
    await has('cbtor_problem_open{code="no_worker",worker=""} 1')
    record({ type: 'problem_closed', code: 'no_worker', severity: 'error', ms: 1 })
    assert.equal(await lineOf(metrics, 'cbtor_problem_open{'), undefined)
  })

  it('shares nothing with another one, and says of which type its text is', () => {
    createMetrics()
    assert.match(createMetrics().metrics.contentType, /^text\/plain; version=0\.0\.4/)
  })
})
