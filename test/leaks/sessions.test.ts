import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { each, eventually, problemOf } from '../asking.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab, WORKERS } from './leak-lab.ts'

const ROTATIONS = 100
const STICKY_SESSIONS = Number(process.env.LEAK_STICKY_SESSIONS ?? 100)
const STICKY_REQUESTS = 30
/** Longer than Tor gives an identity's circuit to new streams, several times. */
const STICKY_FOR_MS = 36_000

describe('sessions', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
  })

  it('L26: no connection and no circuit survives a rotation, not even of requests that are under way', async () => {
    const url = `${lab.network.urls.www}/anything/l26`
    const session = { sticky_key: 'l26' }
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    await gateway.api.fetch({ url, ...session })
    await gateway.api.fetch({ url, ...session })
    const late = gateway.api.fetch({ url: `${lab.network.urls.www}/delay/500?l26-late`, ...session })
    await eventually(async () => (await watch.requests('l26-late')).length > 0, 5_000)
    await gateway.api.rotateSession('l26')
    await gateway.api.fetch({ url, ...session })
    await late
    await gateway.api.fetch({ url, ...session })
    const [first, second, third, fourth] = (await watch.requests('anything/l26')).map(
      ({ connectionId }) => connectionId,
    )
    assert.equal(second, first, 'it was kept alive')
    assert.notEqual(third, first)
    assert.equal(fourth, third, 'the old one does not come back')
    await gateway.circuits.settle()
    const streams = gateway.circuits.since(mark).filter(({ host }) => host === 'www.cbtor.test')
    const circuits = Map.groupBy(streams, ({ user }) => user)
    assert.equal(circuits.size, 2)
    assert.deepEqual(gateway.circuits.shared(), [])
  })

  it('L27: an order for new circuits is answered when it has taken effect, also the second within ten seconds', async () => {
    const ask = { url: `${lab.network.urls.www}/ip`, worker: 'tor02', isolation: 'none' } as const
    const mark = gateway.circuits.streams.length
    await gateway.api.fetch(ask)
    for (let n = 0; n < 2; n++) {
      await gateway.api.newCircuits('tor02')
      await gateway.api.fetch(ask)
    }
    await gateway.circuits.settle()
    const streams = gateway.circuits
      .since(mark)
      .filter(({ worker, host }) => worker === 'tor02' && host === 'www.cbtor.test')
    assert.equal(new Set(streams.map(({ user }) => user)).size, 1)
    assert.equal(new Set(streams.map(({ nymEpoch }) => nymEpoch)).size, 3)
    assert.equal(new Set(streams.flatMap(({ circuits }) => [...circuits])).size, 3)
  })

  it(`L28: after each of ${ROTATIONS} rotations the exit that is told is the one that the target sees`, async (t) => {
    const ask = { url: `${lab.network.urls.www}/ip`, sticky_key: 'l28' }
    let before = ''
    let kept = 0
    for (let n = 0; n < ROTATIONS; n++) {
      const answer = await gateway.api.fetch(ask)
      const seen: string = JSON.parse(answer.body).ip
      assert.equal(answer.receipt.exit?.address, seen)
      if (seen === before) kept++
      before = seen
      await gateway.api.rotateSession('l28')
    }
    // There are four exits: the same one again is no fault, and is told as it is.
    t.diagnostic(
      `figure: ${ROTATIONS} rotations: the exit was told as the target saw it, ${kept} times the one from before`,
    )
    const renewed = await gateway.api.newCircuits('tor03')
    assert.ok('exits_before' in renewed)
    const before3 = new Set(renewed.exits_before.map(({ fingerprint }) => fingerprint))
    const isSame = renewed.exits_after.some(({ fingerprint }) => before3.has(fingerprint))
    if (renewed.exit_changed !== null) assert.equal(renewed.exit_changed, !isSame)
  })

  it(`L29: ${STICKY_SESSIONS} sticky sessions × ${STICKY_REQUESTS} requests never change their exit in silence`, async (t) => {
    await using fresh = await lab.gateway({ workers: lab.localWorkers(WORKERS.length, ['MaxCircuitDirtiness 10']) })
    const startedAt = performance.now()
    let told = 0
    let silent = 0
    await Promise.all(
      Array.from({ length: STICKY_SESSIONS }, async (_, session) => {
        let last: string | undefined
        for (let n = 0; n < STICKY_REQUESTS; n++) {
          const due = startedAt + ((n + session / STICKY_SESSIONS) * STICKY_FOR_MS) / STICKY_REQUESTS
          await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())))
          // Another host each time, as a kept connection would show nothing of circuits.
          const url = `http://l29-${n}.cbtor.test/ip`
          const answer = await fresh.api.fetch({ url, sticky_key: `l29-${session}` })
          const exit: string = JSON.parse(answer.body).ip
          if (last !== undefined && exit !== last) {
            if (answer.receipt.session_moved) told++
            else silent++
          }
          last = exit
        }
      }),
    )
    const lasted = Math.round((performance.now() - startedAt) / 1_000)
    t.diagnostic(
      `figure: ${STICKY_SESSIONS} sticky sessions × ${STICKY_REQUESTS} requests in ${lasted} s, MaxCircuitDirtiness 10 s: silent exit changes ${silent}, told ${told}`,
    )
    assert.equal(silent, 0)
    assert.deepEqual(fresh.circuits.shared(), [])
  })

  it('L30: a session whose worker is lost fails, or says that it has moved', async () => {
    await using fresh = await lab.gateway({ workers: lab.localWorkers(2) })
    const ask = { url: `${lab.network.urls.www}/ip` }
    const keys = Array.from({ length: 12 }, (_, n) => `l30-${n}`)
    const homes = new Map<string, string>()
    for (const key of keys) homes.set(key, (await fresh.api.fetch({ ...ask, sticky_key: key })).worker)
    const lost = keys.filter((key) => homes.get(key) === 'tor01')
    assert.ok(lost.length > 1 && lost.length < keys.length)
    await fresh.api.stopTor('tor01')
    for (const [n, key] of lost.entries()) {
      if (n % 2 === 0) {
        const problem = await problemOf(fresh.api.fetch({ ...ask, sticky_key: key, on_loss: 'fail' }))
        assert.equal(problem.code, 'session_worker_lost')
      }
      const moved = await fresh.api.fetch({ ...ask, sticky_key: key })
      assert.deepEqual([moved.worker, moved.receipt.session_moved], ['tor02', true])
    }
    for (const key of keys.filter((key) => homes.get(key) === 'tor02')) {
      const stayed = await fresh.api.fetch({ ...ask, sticky_key: key })
      assert.deepEqual([stayed.worker, stayed.receipt.session_moved], ['tor02', false])
    }
  })

  it('L36: a target sees no more of a request than its attempts tell, and a POST once', async () => {
    const watch = await lab.watch()
    const { www } = lab.network.urls
    await each(8, 4, async (n) => {
      const method = n % 2 === 0 ? 'GET' : 'POST'
      const path = n % 4 < 2 ? 'close' : 'reset'
      const url = `${www}/${path}?l36-${n}-`
      const { attempts = [] } = await problemOf(gateway.api.fetch({ url, method, isolation: 'request' }))
      const hits = (await watch.requests(`l36-${n}-`)).length
      assert.ok(hits >= 1 && hits <= attempts.length && attempts.length <= 3, `${hits} of ${attempts.length}`)
      if (method === 'POST') assert.equal(hits, 1)
    })
    const hedged = await gateway.api.fetch({ url: `${www}/delay/4000?l36-hedge`, hedge: true, isolation: 'request' })
    const hits = (await watch.requests('l36-hedge')).length
    assert.ok(hits <= 2 && hits <= hedged.receipt.attempts.length, `${hits} of ${hedged.receipt.attempts.length}`)
  })
})
