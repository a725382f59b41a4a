import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ServiceEvent, severityOf } from '../domain/events.ts'
import type { BegunRequest, EndedRequest } from '../domain/request-watch.ts'
import type { HealthState } from '../domain/worker.ts'
import { Metrics } from './metrics.ts'

function createMetrics() {
  const state = { health: 'healthy' as HealthState, leases: 2, built: 9, isThere: true }
  const metrics = new Metrics({
    mode: () => 'failover',
    workers: () =>
      state.isThere
        ? [
            {
              ...{ worker: 'tor01', receivesTraffic: true, desired: 'enabled', bootstrap: 100 },
              ...{ health: state.health, leases: state.leases, bytes: { read: 100, written: 10 } },
              circuits: { open: 5, clean: 3, built: state.built, failed: 1 },
            },
          ]
        : [],
  })
  metrics[Symbol.dispose]() // only the watch over the event loop
  const record = (event: ServiceEvent) =>
    metrics.eventRecorded({ id: 1, at: 0, severity: severityOf(event), text: '', event })
  return { metrics, state, record }
}

const TIMING = { queueMs: 0, connectMs: 100, tlsMs: 0, firstByteMs: 600, bodyMs: 0, totalMs: 700 }
const ASKED: BegunRequest = {
  ...{ kind: 'fetch', door: 'fetch', mode: undefined, key: 'key1', isOnion: false, parent: undefined },
  ...{ host: 'host.example', port: 443 },
}
const FAILED: EndedRequest = { outcome: 'no_worker', worker: undefined, attempts: [], status: undefined, ms: 20_000 }

async function assertLines(metrics: Metrics, lines: readonly string[]): Promise<void> {
  const text = await metrics.text()
  for (const line of lines) assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
}

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

  it('counts requests by worker, door, mode and outcome, with their tries, and how long they took', async () => {
    const { metrics } = createMetrics()
    const attempts = [
      { worker: 'tor02', outcome: 'tor_timeout', ms: 500 },
      { worker: 'tor01', outcome: 'ok', ms: 200 },
    ] as const
    const answered = metrics.requests.begun({ ...ASKED, mode: 'sticky' })
    answered.answered?.({ worker: 'tor01', attempts, timing: TIMING }, 700)
    answered.ended({ outcome: 'connection_lost', worker: 'tor01', attempts, status: 200, ms: 900 })
    metrics.requests
      .begun({ ...ASKED, door: 'job' })
      .ended({ ...FAILED, worker: 'tor02', attempts: attempts.slice(0, 1) })
    metrics.requests.begun({ ...ASKED, kind: 'resolve', door: 'socks' }).ended({ ...FAILED, outcome: 'ok', ms: 10 })
    metrics.requests.begun({ ...ASKED, kind: 'forward', door: 'http' })
    await assertLines(metrics, [
      'cbtor_requests_total{worker="tor01",route="fetch",mode="sticky",outcome="ok"} 1',
      'cbtor_requests_total{worker="tor02",route="job",mode="failover",outcome="no_worker"} 1',
      'cbtor_requests_total{worker="",route="socks_resolve",mode="failover",outcome="ok"} 1',
      'cbtor_requests_broken_off_total{route="fetch",outcome="connection_lost"} 1',
      'cbtor_requests_under_way{route="fetch"} 0',
      'cbtor_requests_under_way{route="http"} 1',
      'cbtor_attempts_total{worker="tor02",outcome="tor_timeout"} 2',
      'cbtor_attempts_total{worker="tor01",outcome="ok"} 1',
      'cbtor_request_duration_seconds_bucket{le="0.5",route="fetch",outcome="ok"} 0',
      'cbtor_request_duration_seconds_bucket{le="1",route="fetch",outcome="ok"} 1',
      'cbtor_request_duration_seconds_count{route="job",outcome="failed"} 1',
      'cbtor_request_phase_seconds_count{phase="first_byte"} 1',
    ])
    assert.doesNotMatch(await metrics.text(), /phase="tls"|host\.example/)
  })

  it('counts tunnels that stand, and those that never stood', async () => {
    const { metrics } = createMetrics()
    const tunnel = { ...ASKED, kind: 'tunnel', door: 'http' } as const
    const stands = metrics.requests.begun(tunnel)
    stands.answered?.({ worker: 'tor01', attempts: [] }, 300)
    await assertLines(metrics, ['cbtor_tunnels_open{worker="tor01"} 1'])
    stands.ended({ ...FAILED, outcome: 'client_gone', worker: 'tor01' })
    metrics.requests.begun(tunnel).ended(FAILED)
    await assertLines(metrics, [
      'cbtor_tunnels_open{worker="tor01"} 0',
      'cbtor_requests_total{worker="tor01",route="http_connect",mode="failover",outcome="ok"} 1',
      'cbtor_requests_total{worker="",route="http_connect",mode="failover",outcome="no_worker"} 1',
      'cbtor_requests_broken_off_total{route="http_connect",outcome="client_gone"} 1',
    ])
  })

  it('follows what workers count, who may begin anew, and forgets one that is gone', async () => {
    const { metrics, state } = createMetrics()
    metrics.requests.exitUsed({ nickname: 'exit1', fingerprint: 'A'.repeat(40), country: 'de' })
    await assertLines(metrics, [
      'cbtor_worker_circuits{worker="tor01",state="open"} 5',
      'cbtor_worker_circuits{worker="tor01",state="clean"} 3',
      'cbtor_worker_circuits_total{worker="tor01",outcome="built"} 9',
      'cbtor_worker_bytes_total{worker="tor01",direction="read"} 100',
      'cbtor_worker_bootstrap_ratio{worker="tor01"} 1',
      'cbtor_worker_desired{worker="tor01",state="enabled"} 1',
      'cbtor_exits_total{country="de"} 1',
    ])
    state.built = 2
    await assertLines(metrics, ['cbtor_worker_circuits_total{worker="tor01",outcome="built"} 11'])
    state.isThere = false
    await metrics.forgetWorker('tor01')
    assert.doesNotMatch(await metrics.text(), /worker="tor01"/)
  })

  it('counts refusals of more keys than it tells apart together', async () => {
    const { metrics } = createMetrics()
    for (let n = 0; n < 1_005; n++) metrics.keyRefused('rate_limited', `key${n}`)
    metrics.keyRefused('rate_limited', 'key7')
    await assertLines(metrics, [
      'cbtor_key_refusals_total{code="rate_limited",key="key7"} 2',
      'cbtor_key_refusals_total{code="rate_limited",key=""} 5',
    ])
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
