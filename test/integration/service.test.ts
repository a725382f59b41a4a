import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { MODES } from '../../src/domain/exchange.ts'
import { eventually, problemOf } from '../asking.ts'
import { createLab, type Lab } from './lab.ts'

let lab: Lab

before(async () => {
  lab = await createLab()
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

describe('a fetch through the pool', { timeout: 600_000 }, () => {
  it('leaves by the exit that the answer names, as the target saw it', async () => {
    const { body, worker, receipt } = await lab.api.fetch({ url: `${lab.network.urls.check}/api/ip` })
    const { exit } = receipt
    assert.deepEqual(JSON.parse(body), { IsTor: true, IP: exit?.address })
    assert.ok(lab.exits.some(({ name, address }) => name === exit?.nickname && address === exit.address))
    assert.match(worker, /^tor0[1-4]$/)
  })

  it('works in every mode', async () => {
    for (const mode of MODES) {
      const { status } = await lab.api.fetch({ url: `${lab.network.urls.www}/status/204`, mode })
      assert.equal(status, 204, mode)
    }
  })

  it('goes round the workers, or stays with the first one', async () => {
    const workersOf = async (mode: 'round_robin' | 'failover') => {
      const answers = []
      for (let n = 0; n < 4; n++) answers.push(await lab.api.fetch({ url: `${lab.network.urls.www}/ip`, mode }))
      return answers.map(({ worker }) => worker)
    }
    assert.equal(new Set(await workersOf('round_robin')).size, 4)
    assert.deepEqual(await workersOf('failover'), ['tor01', 'tor01', 'tor01', 'tor01'])
  })

  it('reaches an onion service, by http and without an exit', async () => {
    const answer = await lab.api.fetch({
      url: `${lab.network.urls.onion}/anything`,
      method: 'POST',
      body: 'to an onion',
    })
    assert.equal(answer.receipt.exit, null)
    assert.equal(JSON.parse(answer.body).body, 'to an onion')
  })

  it('speaks https with the authorities that it was given, and refuses other certificates', async () => {
    const { status, receipt } = await lab.api.fetch({ url: `${lab.network.urls.httpsWww}/ip` })
    assert.equal(status, 200)
    assert.ok(receipt.timing.tls_ms > 0)
    const { code, fault } = await problemOf(lab.api.fetch({ url: lab.network.urls.badCertificate }))
    assert.deepEqual([code, fault], ['tls_untrusted', 'target'])
  })

  it('keeps the worker, the exit and the connection of a sticky session', async () => {
    const request = { url: `${lab.network.urls.www}/ip`, sticky_key: 'one' }
    const first = await lab.api.fetch(request)
    for (let n = 0; n < 5; n++) {
      const { worker, exit, connection_reused } = (await lab.api.fetch(request)).receipt
      assert.deepEqual([worker, exit, connection_reused], [first.worker, first.receipt.exit, true])
    }
  })

  it('gives fresh identities exits and connections of their own', async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => lab.api.fetch({ url: `${lab.network.urls.www}/ip`, isolation: 'request' })),
    )
    assert.ok(new Set(answers.map(({ receipt }) => receipt.exit?.nickname)).size > 1)
    assert.ok(answers.every(({ receipt }) => !receipt.connection_reused))
  })

  it('tells the whole circuit when it is asked for, to an exit and to an onion service', async () => {
    const { urls } = lab.network
    const relays = new Map(
      lab.network.processes().map(({ fingerprint, name, country }) => [fingerprint, { name, country }]),
    )
    for (const url of [`${urls.www}/ip`, `${urls.onion}/ip`]) {
      const { receipt } = await lab.api.fetch({ url, isolation: 'request', circuit_path: true })
      const { circuit_path: path, exit } = receipt
      assert.ok(path && path.length >= 3, JSON.stringify(receipt))
      for (const { fingerprint, nickname, country } of path) {
        assert.deepEqual({ name: nickname, country }, relays.get(fingerprint))
      }
      assert.equal(new Set(path.map(({ fingerprint }) => fingerprint)).size, path.length)
      if (exit) assert.equal(path.at(-1)?.fingerprint, exit.fingerprint)
    }
  })

  it("passes a target's bytes on as they are, with the receipt in headers and trailers", async () => {
    const { urls } = lab.network
    const { status, headers, body, trailers } = await lab.api.fetchRaw({ url: `${urls.httpsWww}/gzip` })
    assert.deepEqual([status, headers['content-encoding']], [200, 'gzip'])
    assert.match(gunzipSync(await buffer(body)).toString(), /"encoding"/)
    assert.ok(lab.exits.some(({ address }) => address === headers['cbtor-exit-address']))
    assert.match(String(headers['cbtor-worker']), /^tor0[1-4]$/)
    assert.match(trailers['cbtor-bytes'] ?? '', /^received=\d+, sent=\d+, body=\d+$/)

    const large = await lab.api.fetchRaw({ url: `${urls.onion}/bytes/20000000?seed=a` })
    let received = 0
    for await (const chunk of large.body) received += chunk.length
    assert.deepEqual([received, large.headers['cbtor-exit']], [20_000_000, undefined])

    const cut = await lab.api.fetchRaw({ url: `${urls.www}/truncate` })
    await assert.rejects(buffer(cut.body))
    const set = await lab.api.fetchRaw({ url: `${urls.www}/cookies/set?a=1`, follow_redirects: false })
    assert.deepEqual([set.status, set.headers.location, set.headers['set-cookie']], [302, undefined, undefined])
    assert.deepEqual(
      [set.headers['cbtor-target-location'], set.headers['cbtor-target-set-cookie']],
      ['/cookies', 'a=1; Path=/'],
    )
    set.body.destroy()
    assert.equal((await problemOf(lab.api.fetchRaw({ url: urls.nowhere }))).code, 'resolve_failed')
  })

  it('sends what it was given and nothing that tells of us', async () => {
    const { body } = await lab.api.fetch({ url: `${lab.network.urls.www}/headers`, headers: { 'X-Mine': 'yes' } })
    const text = body.toLowerCase()
    assert.match(text, /x-mine/)
    for (const trace of ['cbtor/', 'node', 'undici', 'via', 'forwarded', '127.0.0.1', 'localhost']) {
      assert.ok(!text.includes(trace), `${trace} in ${text}`)
    }
  })

  it('says whose fault it is', async () => {
    const { urls } = lab.network
    const faultOf = async (url: string) => {
      const { code, fault, status } = await problemOf(lab.api.fetch({ url }))
      return [code, fault, status]
    }
    assert.deepEqual(await faultOf(urls.nowhere), ['resolve_failed', 'target', 502])
    assert.deepEqual(await faultOf(urls.privateOnion), ['onion_auth_required', 'caller', 403])
    assert.deepEqual(await faultOf(`${urls.www}/close`), ['connection_lost', 'target', 502])
    assert.deepEqual(await faultOf(`${urls.www}/bomb`), ['decompression_limit', 'target', 502])
    assert.deepEqual(await faultOf(`http://${'a'.repeat(56)}.onion/`), ['onion_address_invalid', 'caller', 400])
  })

  it('takes another exit when one refuses the port', async () => {
    const [exit] = lab.exits
    assert.ok(exit)
    await lab.network.setExitRefuses(exit.name, [80])
    try {
      for (let n = 0; n < 12; n++) {
        const answer = await lab.api.fetch({ url: `${lab.network.urls.www}/ip`, isolation: 'request' })
        assert.notEqual(answer.receipt.exit?.nickname, exit.name)
      }
    } finally {
      await lab.network.setExitRefuses(exit.name, [])
    }
  })

  it('answers bad input without asking a worker for anything', async () => {
    const before = await lab.api.status()
    const seen = (await lab.network.requests()).length
    const bad = [
      { url: 'http://127.0.0.1/' },
      { url: 'http://2130706433/' },
      { url: 'http://[::ffff:127.0.0.1]/' },
      { url: 'http://10.0.0.1/' },
      { url: 'http://localhost/' },
      { url: 'http://printer.local/' },
      { url: 'ftp://www.cbtor.test/' },
      { url: 'http://user:password@www.cbtor.test/' },
      { url: 'http://www.cbtor.test:25/' },
      { url: 'http://www.cbtor.test/', headers: { Host: 'other.test' } },
      { url: 'http://www.cbtor.test/', sticky_key: 'a', mode: 'random' as const },
      { url: 'http://www.cbtor.test/', worker: 'tor99' },
    ]
    for (const request of bad) {
      const { status } = await problemOf(lab.api.fetch(request))
      assert.ok(status >= 400 && status < 500, `${JSON.stringify(request)}: ${status}`)
    }
    assert.equal((await lab.api.status()).requests, before.requests)
    assert.equal((await lab.network.requests()).length, seen)
  })
})

describe('the operator', { timeout: 600_000 }, () => {
  it('drains a worker and enables it again', async () => {
    assert.equal((await lab.api.drain('tor01')).desired, 'drained')
    const used = new Set<string>()
    for (let n = 0; n < 6; n++) used.add((await lab.api.fetch({ url: `${lab.network.urls.www}/ip` })).worker)
    assert.deepEqual([...used].sort(), ['tor02', 'tor03', 'tor04'])
    assert.equal((await lab.api.enable(1)).desired, 'enabled')
    assert.equal((await lab.api.fetch({ url: `${lab.network.urls.www}/ip`, mode: 'failover' })).worker, 'tor01')
  })

  it('stops, starts and restarts Tor', async () => {
    const { process: before } = await lab.api.worker('tor02')
    const stopped = await lab.api.stopTor(2)
    assert.deepEqual([stopped.desired, stopped.process.state, stopped.process.pid], ['stopped', 'stopped', null])
    const { code } = await problemOf(lab.api.fetch({ url: lab.network.urls.www, worker: 'tor02' }))
    assert.equal(code, 'conflict')

    const started = await lab.api.startTor('tor02')
    assert.deepEqual([started.desired, started.process.state, started.bootstrap.progress], ['enabled', 'running', 100])
    assert.notEqual(started.process.pid, before.pid)
    const restarted = await lab.api.restartTor('tor02')
    assert.notEqual(restarted.process.pid, started.process.pid)
    await eventually(async () => (await lab.api.worker('tor02')).state === 'healthy')
  })

  it('sets the mode for all requests that bring none', async () => {
    assert.equal((await lab.api.setMode('failover')).mode, 'failover')
    for (let n = 0; n < 3; n++) {
      assert.equal((await lab.api.fetch({ url: `${lab.network.urls.www}/ip` })).worker, 'tor01')
    }
    assert.equal((await lab.api.setMode('round_robin')).mode, 'round_robin')
  })
})

describe('the pool under load', { timeout: 600_000 }, () => {
  it('answers 1,000 fetches, 32 at a time, without losing one', async () => {
    let begun = 0
    const statuses = new Map<number, number>()
    const client = async () => {
      while (begun++ < 1_000) {
        const { status } = await lab.api.fetch({ url: `${lab.network.urls.www}/bytes/1000` })
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: 32 }, client))
    assert.deepEqual(statuses, new Map([[200, 1_000]]))
  })

  it('loses no request when a worker is killed, and has it back soon', async () => {
    const victim = await lab.api.worker('tor03')
    assert.ok(victim.process.pid)
    let isOver = false
    const statuses: number[] = []
    const client = async () => {
      while (!isOver) statuses.push((await lab.api.fetch({ url: `${lab.network.urls.www}/ip` })).status)
    }
    const clients = Array.from({ length: 4 }, client)
    process.kill(victim.process.pid, 'SIGKILL')
    await eventually(async () => {
      const { process: now, state } = await lab.api.worker('tor03')
      return state === 'healthy' && now.pid !== null && now.pid !== victim.process.pid
    })
    isOver = true
    await Promise.all(clients)
    assert.ok(statuses.length > 20)
    assert.ok(statuses.every((status) => status === 200))
  })

  it('refuses when no worker is left, rather than go another way', async () => {
    for (const id of ['tor01', 'tor02', 'tor03', 'tor04']) await lab.api.stopTor(id)
    const { code, status, fault } = await problemOf(lab.api.fetch({ url: `${lab.network.urls.www}/ip?by=nobody` }))
    assert.deepEqual([code, status, fault], ['no_worker', 503, 'worker'])
    const reached = (await lab.network.requests()).filter(({ path }) => path.includes('by=nobody'))
    assert.deepEqual(reached, [])
    await Promise.all(['tor01', 'tor02', 'tor03', 'tor04'].map((id) => lab.api.startTor(id)))
    await lab.service.ready(AbortSignal.timeout(60_000))
  })
})
