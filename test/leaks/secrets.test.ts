import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { each, eventually, problemOf } from '../asking.ts'
import { hitsIn, STEM as PLANTED } from '../secrets/words.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab, WORKERS } from './leak-lab.ts'

describe('what is written', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  let onion: string
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
    onion = new URL(lab.network.urls.onion).hostname.replace('.onion', '')
    await ask()
  })

  it('L37: log, store, metrics, events and the views of the API hold no target, key, header or body', async () => {
    const remains = await gateway.remains()
    assert.deepEqual(hitsIn(remains).slice(0, 3), [])
    // The addresses that names lead to are targets as well; those of checks are configured.
    for (const where of ['log', 'store', 'metrics', 'events'])
      assert.doesNotMatch(remains[where] ?? '', /198\.51\.100\./, where)
  })

  it('L38: what Tor says holds no onion address and no target, and nobody can ask it to be less safe', async () => {
    const onions = gateway.said.filter((line) => line.includes(onion.slice(0, 16)))
    assert.deepEqual(onions, [])
    await assert.rejects(lab.gateway({ workers: lab.localWorkers(1, ['SafeLogging 0']) }), /SafeLogging/)
  })

  it('L39: what control ports tell of identities and targets is not kept', async () => {
    await gateway.circuits.settle()
    const users = [...new Set(gateway.circuits.streams.map(({ user }) => user))]
    assert.ok(users.length > 5, `${users.length} identities`)
    const remains = await gateway.remains()
    for (const [where, text] of Object.entries(remains)) {
      for (const user of users) assert.ok(!text.includes(user), `an identity is in the ${where}`)
    }
    // An identity is no plain word of the caller's either.
    for (const user of users) assert.match(user, /^(?:[A-Za-z0-9_-]{43}|proof-[0-9a-f]{32})$/)
  })

  it('L45: no problem tells of the paths, sockets, processes or addresses of this machine', async () => {
    const problems = await ask()
    assert.ok(problems.length > 10)
    const pids = await Promise.all(['tor01', 'tor02', 'tor03', 'tor04'].map((id) => gateway.pidOf(id)))
    for (const problem of problems) {
      const text = JSON.stringify(problem)
      assert.doesNotMatch(text, /\/(?:tmp|home|root|work|usr|proc)\/|\.sock|\/socks|127\.0\.0\.1|at .*\.ts:/, text)
      for (const pid of pids) assert.doesNotMatch(text, new RegExp(`\\b${pid}\\b`), text)
      // Of the caller's own words it says no more than a little, and never what may be secret.
      assert.doesNotMatch(text, /zq7planted-(?:key|header|body|password)/, text)
    }
  })

  it('L35: nobody is asked but the targets and the checks that are configured', async () => {
    const configured = new Set(['check.cbtor.test', `${onion}.onion`, '127.0.0.1'])
    const fresh = await lab.gateway({ workers: lab.localWorkers(2) })
    try {
      const watch = await lab.watch()
      const mark = fresh.circuits.streams.length
      await fresh.api.fetch({ url: 'http://l35.cbtor.test/ip' })
      await eventually(async () => fresh.circuits.since(mark).some(({ host }) => host === 'check.cbtor.test'), 60_000)
      const asked = new Set(fresh.circuits.since(mark).map(({ host }) => host))
      assert.deepEqual(
        [...asked].filter((host) => !configured.has(host)),
        ['l35.cbtor.test'],
      )
      assert.deepEqual(
        [...new Set(await watch.namesAtExits())].filter((name) => !configured.has(name)),
        ['l35.cbtor.test'],
      )
      await watch.nothingLeaked()
    } finally {
      await fresh[Symbol.asyncDispose]()
    }
  })

  it('L34: checks have circuits that no caller and no other worker has, and workers are not checked in step', async () => {
    await using fresh = await lab.gateway({ config: { health: { check_interval: '3s' } } })
    // Callers that fetch just what the checks fetch.
    const url = `${lab.network.urls.check}/api/ip`
    await each(60, 4, async (n) => {
      const isolation = (['destination', 'none', 'request'] as const)[n % 3] ?? 'none'
      await fresh.api.fetch({ url, isolation })
    })
    await fresh.circuits.settle()
    assert.deepEqual(fresh.circuits.shared(), [])
    // Now there are checks alone. They are put off while callers show the same.
    await new Promise((resolve) => setTimeout(resolve, 3_500))
    const mark = fresh.circuits.streams.length
    await new Promise((resolve) => setTimeout(resolve, 12_000))
    const checks = fresh.circuits.since(mark).filter(({ host }) => host === 'check.cbtor.test')
    const workersOf = Map.groupBy(checks, ({ user }) => user)
    assert.ok(checks.length >= 12 && workersOf.size >= WORKERS.length)
    for (const streams of workersOf.values()) assert.equal(new Set(streams.map(({ worker }) => worker)).size, 1)
    const inStep = checks.filter(({ at }) => {
      const near = checks.filter((other) => Math.abs(other.at - at) < 100)
      return new Set(near.map(({ worker }) => worker)).size === WORKERS.length
    })
    assert.ok(inStep.length < checks.length / 3, `${inStep.length} of ${checks.length} with all others`)
    assert.deepEqual(fresh.circuits.shared(), [])
  })

  /** All kinds of good and bad requests with something in each field that must not be found later. */
  async function ask(): Promise<unknown[]> {
    const { urls } = lab.network
    const secret = {
      headers: {
        Authorization: `Bearer ${PLANTED}-header`,
        Cookie: `sid=${PLANTED}-header`,
        'X-Mine': `${PLANTED}-header`,
      },
    }
    const good = [
      { url: `http://${PLANTED}.cbtor.test/anything/${PLANTED}?q=${PLANTED}#${PLANTED}`, ...secret },
      { url: `https://${PLANTED}.cbtor.test/anything/${PLANTED}`, method: 'POST', body: `${PLANTED}-body`, ...secret },
      { url: `${urls.onion}/anything/${PLANTED}`, sticky_key: `${PLANTED}-sticky` },
      { url: `http://${PLANTED}.cbtor.test/redirect-to?url=${urls.onion}/anything/${PLANTED}` },
    ]
    for (const request of good) await gateway.api.fetch(request)
    await gateway.api.rotateSession(`${PLANTED}-sticky`)
    await gateway.api.endSession(`${PLANTED}-sticky`)
    const host = `${PLANTED}.cbtor.test`
    const bad = [
      { url: `http://${PLANTED}.nowhere.example/` },
      { url: `http://${PLANTED}.cbtor.test:81/`, timeout_ms: 5_000 },
      { url: `https://${host}:80/` },
      { url: `http://${host}/close?${PLANTED}` },
      { url: `http://${host}/reset?${PLANTED}` },
      { url: `http://${host}/garbage?${PLANTED}` },
      { url: `http://${host}/truncate?${PLANTED}` },
      { url: `http://${host}/bomb?mib=20&${PLANTED}` },
      { url: `http://${host}/delay/5000?${PLANTED}`, timeout_ms: 600 },
      { url: `http://${host}/bytes/100000?seed=${PLANTED}`, max_bytes: 1_000 },
      { url: `http://${host}/redirect-to?url=http://10.0.0.1/${PLANTED}` },
      { url: `http://${host}/redirect-to?url=ftp://${PLANTED}/` },
      { url: `https://badcert.cbtor.test/${PLANTED}` },
      { url: `http://user:${PLANTED}-password@${host}/` },
      { url: `http://${'a'.repeat(56)}.onion/${PLANTED}` },
      { url: `${urls.privateOnion}/${PLANTED}` },
      { url: `http://${host}/`, headers: { 'X-Forwarded-For': `${PLANTED}-header` } },
      { url: `http://${host}/`, headers: { 'Bad Name': `${PLANTED}-header` } },
      { url: `http://${host}/`, worker: PLANTED },
      // There are fewer exits than a rule takes.
      { url: `http://${host}/`, country: 'de', sticky_key: `${PLANTED}-country` },
      { url: `http://${host}/`, sticky_key: `${PLANTED}\u0000` },
      { url: `http://${host}/`, [PLANTED]: 1 },
    ]
    const problems: unknown[] = []
    for (const request of bad) problems.push(await problemOf(gateway.api.fetch(request)))
    for (const path of [`/${PLANTED}`, `/api/v1/sessions/${PLANTED}`, `/api/v1/tor/workers/${PLANTED}`, `/?${PLANTED}`])
      await (await fetch(`${gateway.url}${path}`, { headers: { 'x-planted': PLANTED } })).arrayBuffer()
    await (await fetch(`${gateway.url}/api/v1/fetch`, { method: 'POST', body: `{"url": "${PLANTED}` })).arrayBuffer()
    return problems
  }
})
