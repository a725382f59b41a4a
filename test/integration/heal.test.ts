import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { drill } from '../../src/cli/drill/drill.ts'
import { faultKinds } from '../../src/cli/drill/faults.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { eventually, problemOf } from '../asking.ts'
import { createLab, type Lab } from './lab.ts'

const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']
const never = new AbortController().signal
let lab: Lab

before(async () => {
  lab = await createLab()
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

describe('a pool that heals itself', { timeout: 600_000 }, () => {
  it('loses no request when workers are killed, frozen and cut off, and has them back', async () => {
    const { kill, freeze, blackhole } = faultKinds(lab.service, lab.network)
    const results = await drill(
      {
        api: lab.api,
        clock: systemClock,
        url: `${lab.network.urls.www}/ip`,
        perSecond: 20,
        workers: WORKERS.map((id, index) => ({ id, n: index + 1 })),
        faults: [kill, kill, kill, freeze, blackhole],
        settleMs: 1_000,
      },
      never,
    )
    for (const { fault, worker, failures, requests } of results) {
      assert.deepEqual(failures, [], `${fault} of ${worker}`)
      assert.ok(requests > 10)
    }
    const { events } = await lab.api.events({ limit: 1_000 })
    const ofKilled = events
      .filter(({ worker }) => worker === 'tor01')
      .map(({ type, details }) => [type, details.to ?? details.step])
    assert.ok(ofKilled.some(([type, to]) => type === 'health_changed' && to === 'dead'))
    assert.ok(ofKilled.some(([type, step]) => type === 'recovery_step_ended' && step === 'restart-tor'))
    const { last_recovery } = await lab.api.worker('tor01')
    assert.deepEqual(last_recovery?.steps.map(({ name }) => name).slice(-2), ['restart-tor', 'verify-circuit'])
    assert.deepEqual((await lab.api.health()).problems, [])
  })

  it('refuses when nobody is left, shows that as a problem, and answers again soon after one is back', async () => {
    for (const id of WORKERS) await lab.api.stopTor(id)
    const seen = (await lab.network.requests()).length
    assert.equal((await problemOf(lab.api.fetch({ url: lab.network.urls.www }))).code, 'no_worker')
    const { problems } = await lab.api.health()
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['no_worker'],
    )
    assert.equal((await lab.network.requests()).length, seen)
    await lab.api.startTor('tor01')
    await eventually(async () => (await lab.api.health()).receiving_traffic === 1, 10_000)
    assert.equal((await lab.api.fetch({ url: `${lab.network.urls.www}/ip` })).worker, 'tor01')
    await Promise.all(WORKERS.map((id) => lab.api.startTor(id)))
    await lab.service.ready(AbortSignal.timeout(60_000))
    assert.deepEqual((await lab.api.health()).problems, [])
  })

  it('says when to come back while it may heal by itself', async () => {
    for (const id of WORKERS.slice(1)) await lab.api.stopTor(id)
    const { process: tor } = await lab.api.worker('tor01')
    assert.ok(tor.pid)
    process.kill(tor.pid, 'SIGKILL')
    const answer = await eventually(async () => {
      const response = await fetch(`${lab.service.url}/api/v1/fetch`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ url: `${lab.network.urls.www}/ip` }),
      })
      await response.arrayBuffer()
      return response.status === 503 && response
    }, 5_000)
    assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
    await eventually(async () => (await lab.api.health()).receiving_traffic === 1)
    await Promise.all(WORKERS.map((id) => lab.api.startTor(id)))
    await lab.service.ready(AbortSignal.timeout(60_000))
  })
})

describe('orders to workers', { timeout: 600_000 }, () => {
  it('are consistent however many come at once', async () => {
    const orders = Array.from({ length: 15 }, (_, n) => {
      const order = [lab.api.startTor, lab.api.stopTor, lab.api.restartTor][n % 3]
      return order?.('tor04').catch((error: Error) => error)
    })
    await Promise.all(orders)
    const started = await lab.api.startTor('tor04')
    assert.deepEqual([started.process.state, started.bootstrap.progress], ['running', 100])
    await eventually(async () => (await lab.api.worker('tor04')).state === 'healthy')
    const { events } = await lab.api.events({ worker: 'tor04', limit: 200 })
    const deaths = events.filter(({ type, details }) => type === 'health_changed' && details.to === 'dead')
    assert.equal(deaths.filter(({ text }) => /stopped meanwhile/.test(text)).length, 0)
  })

  it('refuse to drain the last worker that takes requests, unless forced', async () => {
    for (const id of WORKERS.slice(1)) await lab.api.drain(id)
    const { status, code } = await problemOf(lab.api.drain('tor01'))
    assert.deepEqual([status, code], [409, 'conflict'])
    assert.equal((await lab.api.drain('tor01', { force: true })).desired, 'drained')
    for (const id of WORKERS) await lab.api.enable(id)
    await lab.service.ready(AbortSignal.timeout(60_000))
  })

  it('drain a worker that hangs without waiting for its Tor', async () => {
    const { tor03: pid } = lab.service.pids()
    assert.ok(pid)
    process.kill(pid, 'SIGSTOP')
    const drained = await lab.api.drain('tor03')
    assert.deepEqual([drained.desired, drained.process.pid], ['drained', pid], 'answered before Tor was restarted')
    await eventually(async () => {
      const { state, process: tor } = await lab.api.worker('tor03')
      return state === 'healthy' && tor.pid !== pid
    })
    assert.equal((await lab.api.worker('tor03')).desired, 'drained', 'healing does not undo it')
    await lab.api.enable('tor03')
  })

  it('renew circuits for later requests, once Tor has acted', async () => {
    const first = await lab.api.fetch({ url: `${lab.network.urls.www}/ip`, worker: 'tor02', isolation: 'none' })
    const renewed = await lab.api.newCircuits('tor02')
    assert.ok('exits_before' in renewed)
    const again = await lab.api.fetch({ url: `${lab.network.urls.www}/ip`, worker: 'tor02', isolation: 'none' })
    assert.equal(first.worker, again.worker)
    assert.equal(again.receipt.connection_reused, false)
    const soon = await lab.api.newCircuits('tor02', { wait_ms: 0 })
    assert.ok('acts_at' in soon, 'Tor acts every 10 s at most')
    const { events } = await lab.api.events({ type: ['circuits_renewed'], worker: 'tor02' })
    assert.equal(events.length, 1)
  })

  it('show a worker layer by layer', async () => {
    const worker = await lab.api.worker('tor03')
    assert.equal(worker.not_told, null)
    assert.ok(worker.circuits?.some(({ status, path }) => status === 'BUILT' && path.length === 3))
    assert.ok(worker.guards && worker.guards.length > 0)
    assert.ok(worker.traffic && worker.traffic.read_bytes > 1_000)
    assert.match(worker.consensus?.valid_until ?? '', /^\d{4}-/)
    assert.equal(worker.next_action?.type, 'probe')
  })
})

describe('sessions', { timeout: 600_000 }, () => {
  it('are listed, rotated at once and ended', async () => {
    const request = { url: `${lab.network.urls.www}/ip`, sticky_key: 'session-1' }
    const first = await lab.api.fetch(request)
    assert.equal(first.receipt.session_moved, false)
    const { sessions } = await lab.api.sessions()
    const session = sessions.find(({ key }) => key === 'session-1')
    assert.deepEqual([session?.worker, session?.requests, session?.exit], [first.worker, 1, first.receipt.exit])

    await lab.api.rotateSession('session-1')
    const second = await lab.api.fetch(request)
    assert.deepEqual([second.worker, second.receipt.connection_reused], [first.worker, false])
    await lab.api.endSession('session-1')
    const { code, status } = await problemOf(lab.api.session('session-1'))
    assert.deepEqual([code, status], ['session_not_found', 404])
  })

  it('move when their worker is lost, say so, and fail instead when asked to', async () => {
    const request = { url: `${lab.network.urls.www}/ip`, sticky_key: 'session-2' }
    const strict = { url: `${lab.network.urls.www}/ip`, sticky_key: 'session-3', on_loss: 'fail' as const }
    const { worker } = await lab.api.fetch(request)
    // Another key that the same worker serves.
    let strictKey = strict
    for (let n = 0; (await lab.api.fetch(strictKey)).worker !== worker; n++)
      strictKey = { ...strict, sticky_key: `other-${n}` }
    await lab.api.drain(worker)
    const moved = await lab.api.fetch(request)
    assert.notEqual(moved.worker, worker)
    assert.equal(moved.receipt.session_moved, true)
    assert.equal((await lab.api.fetch(request)).receipt.session_moved, false)
    const { code, status } = await problemOf(lab.api.fetch(strictKey))
    assert.deepEqual([code, status], ['session_worker_lost', 409])
    await lab.api.enable(worker)
    assert.equal((await lab.api.fetch(request)).worker, moved.worker, 'it does not move back')
    assert.equal((await lab.api.fetch(strictKey)).worker, worker)
  })

  it('stay on their worker when it is the target that fails', async () => {
    const { attempts } = await problemOf(
      lab.api.fetch({ url: `${lab.network.urls.www}/close`, sticky_key: 'session-4' }),
    )
    assert.equal(new Set(attempts?.map(({ worker }) => worker)).size, 1)
  })
})

describe('what the service tells of itself', { timeout: 300_000 }, () => {
  it('streams events as they happen', async () => {
    const { next_since_id } = await lab.api.events({ limit: 1 })
    const stream = lab.api.watchEvents({ since_id: next_since_id })
    const next = stream.next()
    await lab.api.setMode('random')
    const { value } = await next
    assert.ok(value?.type === 'event')
    assert.deepEqual([value.event.type, value.event.details.to], ['mode_changed', 'random'])
    await lab.api.setMode('round_robin')
    await stream.return()
  })

  it('counts requests, probes and recoveries', async () => {
    const text = await lab.api.metrics()
    assert.match(text, /^cbtor_requests_total\{worker="tor0\d",route="fetch",mode="round_robin",outcome="ok"\} [1-9]/m)
    assert.match(text, /^cbtor_probes_total\{worker="tor01",verdict="passed"\} [1-9]/m)
    assert.match(text, /^cbtor_recoveries_total\{worker="tor01",outcome="ok"\} [1-9]/m)
    assert.match(text, /^cbtor_worker_health\{worker="tor01",state="healthy"\} 1$/m)
  })
})
