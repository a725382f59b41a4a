import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import type { JobBody } from '../../src/api/schemas/job.ts'
import { jobsSchema } from '../../src/config/jobs.ts'
import { eventually, problemOf } from '../asking.ts'
import { Gateway } from '../leaks/gateway.ts'
import { createLab, type Lab } from './lab.ts'

/** Waits that a test can wait for. */
const RETRY = {
  descriptor: { delays: ['1s'], retries: 100 },
  circuit: { delays: ['1s'], retries: 100 },
  http: { delays: ['1s'], retries: 20 },
}
const SECRET = 'a secret of the receiver'
/** Well-formed, and of nobody. */
const NOBODYS_ONION = 'http://duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion/'

interface Told {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let lab: Lab
let told: Told[]
let receiver: string

before(async () => {
  told = []
  const server = createServer(async (request, response) => {
    told.push({ headers: request.headers, body: await text(request) })
    response.writeHead(told.length === 1 ? 500 : 204).end()
  })
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  receiver = `127.0.0.1:${(server.address() as AddressInfo).port}`
  lab = await createLab({
    jobs: jobsSchema.parse({ concurrency: 32, concurrency_per_job: 32, retry: RETRY, webhook_allow: [receiver] }),
  })
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

function ended(id: string, limitMs?: number): Promise<JobBody> {
  return eventually(async () => {
    const job = await lab.api.job(id)
    return job.state !== 'running' && job
  }, limitMs)
}

/** How often the sites were asked for each path. */
async function asked(pattern: RegExp): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { method, path } of await lab.network.requests()) {
    if (pattern.test(path)) counts.set(`${method} ${path}`, (counts.get(`${method} ${path}`) ?? 0) + 1)
  }
  return counts
}

describe('a job', { timeout: 600_000 }, () => {
  it('fetches an onion service that is down at first, and shows that it waits for it', async () => {
    await lab.network.kill('onion1')
    const { id } = await lab.api.submitJob({
      fetches: [{ url: `${lab.network.urls.onion}/ip?late` }, { url: NOBODYS_ONION }],
    })
    const waiting = await eventually(async () => {
      const { counts, progress, next_try_at } = await lab.api.job(id)
      const { results } = await lab.api.jobResults(id)
      return results.every(({ tries }) => tries >= 1) && { counts, progress, next_try_at, results }
    })
    assert.equal(waiting.counts.done, 0)
    const phases = waiting.results.map(({ phase, problem }) => [phase, problem?.code])
    assert.equal(phases[0]?.[0], 'circuit', JSON.stringify(phases))
    assert.deepEqual(phases[1], ['descriptor', 'onion_not_found'])
    const { circuit, descriptor } = waiting.progress
    assert.deepEqual([circuit.waiting + circuit.running, descriptor.waiting + descriptor.running], [1, 1])

    await lab.network.restart('onion1')
    const [late] = (
      await eventually(async () => {
        const { results } = await lab.api.jobResults(id)
        return results[0]?.state === 'done' && results
      }, 120_000)
    ).slice(0, 1)
    assert.deepEqual([late?.answer?.status, late?.answer?.receipt.exit], [200, null])
    assert.ok((late?.tries ?? 0) > 1)
    const cancelled = await lab.api.cancelJob(id)
    assert.deepEqual([cancelled.state, cancelled.counts.done, cancelled.counts.cancelled], ['cancelled', 1, 1])
  })

  it('of 1,000 fetches ends, with all results in order', async (context) => {
    const startedAt = performance.now()
    const fetches = Array.from({ length: 1_000 }, (_, n) => ({ url: `${lab.network.urls.www}/anything?job=${n}` }))
    const { id } = await lab.api.submitJob({ fetches, name: 'a thousand' })
    const job = await ended(id, 200_000)
    context.diagnostic(`1,000 fetches took ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
    assert.deepEqual(job.counts, { waiting: 0, running: 0, done: 1_000, failed: 0, cancelled: 0 })
    let cursor: string | null = '0'
    let n = 0
    while (cursor !== null) {
      const page: Awaited<ReturnType<typeof lab.api.jobResults>> = await lab.api.jobResults(id, { cursor, limit: 100 })
      for (const result of page.results) {
        assert.equal(result.n, n)
        assert.ok(result.answer?.body?.includes(`job=${n}`), `${n}: ${result.answer?.body}`)
        n++
      }
      cursor = page.next_cursor
    }
    assert.equal(n, 1_000)
    await lab.api.removeJob(id)
    assert.ok((await lab.api.jobs()).jobs.every((each) => each.id !== id))
  })

  it('ends at once when it is cancelled, and lets its workers go', async () => {
    const fetches = Array.from({ length: 40 }, (_, n) => ({ url: `${lab.network.urls.www}/delay/60000?cancel=${n}` }))
    const { id } = await lab.api.submitJob({ fetches })
    await eventually(async () => (await asked(/cancel=/)).size >= 4)
    assert.equal((await lab.api.cancelJob(id)).counts.cancelled, 40)
    await eventually(async () => (await lab.api.workers()).workers.every(({ leases }) => leases === 0), 5_000)
    // What was in Tor already may still arrive; of the others, whose turn had not come, none begins any more.
    for (let n = 0; n < 3; n++) await lab.api.fetch({ url: `${lab.network.urls.www}/ip` })
    assert.equal((await asked(/cancel=3[2-9]$/)).size, 0)
  })

  it('tells of its end through Tor, and by itself to an address that the operator has listed', async () => {
    const fetches = [{ url: `${lab.network.urls.www}/anything?secret-of-the-target` }]
    const byTor = { url: `${lab.network.urls.www}/anything?webhook`, secret: SECRET }
    const byItself = { url: `http://${receiver}/hook`, secret: SECRET }
    const jobs = [
      await lab.api.submitJob({ fetches, webhook: byTor }),
      await lab.api.submitJob({ fetches, webhook: byItself }),
    ]
    for (const { id } of jobs) await eventually(async () => (await lab.api.job(id)).webhook?.state === 'delivered')

    const [hook] = (await lab.network.requests()).filter(({ path }) => path === '/anything?webhook')
    assert.equal(hook?.method, 'POST')
    assert.ok(
      lab.exits.some(({ address }) => address === hook?.sourceAddress),
      `it came from ${hook?.sourceAddress}`,
    )
    assert.ok(hook?.rawHeaders.some(([name]) => name.toLowerCase() === 'webhook-signature'))

    // The receiver refused the first.
    assert.equal(told.length, 2)
    assert.equal((await lab.api.job(jobs[1]?.id ?? '')).webhook?.tries, 2)
    const { headers, body } = told[1] as Told
    const { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature } = headers
    assert.equal(id, jobs[1]?.id)
    const mac = createHmac('sha256', SECRET).update(`${id}.${seconds}.${body}`).digest('base64')
    assert.equal(signature, `v1,${mac}`)
    assert.doesNotMatch(body, /secret-of-the-target/)
    assert.equal(JSON.parse(body).job.done, 1)
  })

  it('may not have itself told of at any other local address', async () => {
    const port = Number(receiver.split(':')[1])
    for (const url of [
      `http://127.0.0.1:${port - 1}/`,
      `http://127.0.0.2:${port}/`,
      `http://localhost:${port}/`,
      `http://[::1]:${port}/`,
    ]) {
      const order = { fetches: [{ url: lab.network.urls.www }], webhook: { url } }
      assert.equal((await problemOf(lab.api.submitJob(order))).code, 'target_forbidden', url)
    }
  })
})

describe('the jobs of a service that is killed', { timeout: 600_000 }, () => {
  it('go on at its next start: nothing is lost, and nothing is sent twice that may not be', async () => {
    const { network, config } = lab
    const options = {
      directory: join(network.directory, 'killed'),
      config: {
        log: 'warn',
        workers: ['tor01', 'tor02'].map((id, n) => ({
          kind: 'local',
          id,
          torrc: network.clientTorrc({ client: 9 + n }),
        })),
        tor: { command: network.clientCommand(), reject_internal_addresses: network.isolation === 'namespace' },
        circuits: { rate: 10_000, burst: 10_000 },
        targets: { allow_reserved: config.targets.allow_reserved, ca_file: network.caFile },
        checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
        politeness: 'off',
        jobs: { concurrency: 8, concurrency_per_job: 8, retry: RETRY },
      },
    }
    const requests = Array.from({ length: 60 }, (_, n) => ({
      url: `${network.urls.www}/delay/700?killed=${n}`,
      method: n % 2 === 0 ? 'POST' : 'GET',
    }))
    let id: string
    let before: JobBody
    {
      await using first = await Gateway.start(options)
      await first.ready()
      id = (await first.api.submitJob({ fetches: requests })).id
      before = await eventually(async () => {
        const job = await first.api.job(id)
        return job.counts.done >= 12 && job.counts.running >= 4 && job
      })
      process.kill(first.pid, 'SIGKILL')
    }
    await using second = await Gateway.start(options)
    const job = await eventually(async () => {
      const found = await second.api.job(id)
      return found.state === 'done' && found
    }, 120_000)
    assert.ok(before.counts.waiting > 10)

    const { results } = await second.api.jobResults(id, { limit: 100 })
    const seen = await asked(/killed=/)
    for (const { n, method, state, problem } of results) {
      const times = seen.get(`${method} /delay/700?killed=${n}`) ?? 0
      if (method === 'GET') assert.deepEqual([state, times >= 1], ['done', true], `GET ${n}`)
      else if (state === 'done') assert.equal(times, 1, `POST ${n}`)
      else {
        assert.ok(times <= 1, `POST ${n} was sent ${times} times`)
        assert.deepEqual([state, problem?.code], ['failed', 'connection_lost'])
        assert.match(problem?.detail ?? '', /may have been sent/)
      }
    }
    assert.ok(job.counts.failed >= 1 && job.counts.failed <= 8, JSON.stringify(job.counts))
    assert.equal(job.counts.done + job.counts.failed, 60)
  })
})
