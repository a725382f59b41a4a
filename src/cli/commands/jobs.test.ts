import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fakeAnswer } from '../../api/fake-backend.ts'
import { startServer } from '../../api/test-server.ts'
import type { FetchRequest } from '../../domain/exchange.ts'
import type { JobFetchView } from '../../domain/job.ts'
import { EXIT } from '../exit-with.ts'
import { runTestCli } from '../test-cli.ts'

const URL = 'http://example.onion/'

async function createPlace() {
  const server = await startServer()
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-jobs-'))
  return {
    ...{ jobs: server.backend.jobs, directory },
    run: (...argv: readonly string[]) => runTestCli(['jobs', ...argv, '--api', server.url], { CBTOR_STATE: directory }),
    /** What somebody at a terminal sees. */
    async see(...argv: readonly string[]) {
      let shown = ''
      const out = { isTTY: true, write: (text: string | Uint8Array) => (shown += Buffer.from(text as string)) }
      const { err } = await runTestCli(['jobs', ...argv, '--api', server.url], { CBTOR_STATE: directory }, { out })
      return `${shown}${err}`
    },
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true })
      await server[Symbol.asyncDispose]()
    },
  }
}

describe('cbtor jobs', { timeout: 30_000 }, () => {
  it('orders a job of URLs, or of a file', async () => {
    await using place = await createPlace()
    const made = await place.run(
      'submit',
      URL,
      `${URL}b`,
      '--deadline',
      '2h',
      '--name',
      'mine',
      '--idempotency-key',
      'k',
    )
    assert.deepEqual([made.code, made.out, made.err], [EXIT.ok, 'job_1\n', ''])
    const [order] = place.jobs.orders
    assert.deepEqual(
      order?.fetches.map(({ request }) => request.url),
      [URL, `${URL}b`],
    )
    assert.deepEqual([order?.name, order?.retry.deadlineMs, order?.idempotency?.key], ['mine', 7_200_000, 'k'])
    const file = join(place.directory, 'order.json')
    writeFileSync(
      file,
      JSON.stringify({ fetches: [{ url: URL }], webhook: { url: 'http://a.test/', secret: 's'.repeat(16) } }),
    )
    const again = await place.run('submit', '--file', file, '--webhook', 'http://b.test/', '--json')
    assert.equal(JSON.parse(again.out).webhook.url, 'http://b.test/')
    assert.equal(place.jobs.orders[1]?.webhook?.secret, 's'.repeat(16))
  })

  it('says what is wrong with an order', async () => {
    await using place = await createPlace()
    const none = await place.run('submit')
    assert.deepEqual([none.code, none.out], [EXIT.failed, ''])
    assert.match(none.err, /^cbtor: Cannot take the request: fetches must be a list of 1 to 1000 fetches\n/)
    const missing = await place.run('submit', '--file', '/nowhere.json')
    assert.match(missing.err, /^cbtor: Cannot read the order \/nowhere\.json: /)
    const file = join(place.directory, 'order.json')
    writeFileSync(file, '[]')
    assert.match((await place.run('submit', '--file', file)).err, /it has no list "fetches"/)
    assert.equal((await place.run('submit', URL, '--deadline', 'soon')).code, EXIT.usage)
  })

  it('lists, shows, cancels and removes jobs', async () => {
    await using place = await createPlace()
    for (let n = 0; n < 102; n++) await place.run('submit', URL)
    const list = await place.run('list')
    assert.match(
      list.out,
      /^id +name +state +ordered +fetches +done +failed +to go\njob_102 +running +1970-01-01 00:00 +1 +4 +5 +6\n/,
    )
    assert.equal(list.out.trim().split('\n').length, 103)
    assert.equal(JSON.parse((await place.run('list', '--json')).out).jobs.length, 102)
    const shown = await place.run('show', 'job_1')
    assert.match(
      shown.out,
      /^job_1 is running: 4 done, 5 failed, 0 cancelled, 6 to go\n {2}first: 1 waiting, 0 running\n/,
    )
    assert.match((await place.run('remove', 'job_1')).err, /^cbtor: Cannot remove the job/)
    assert.match((await place.run('cancel', 'job_1')).out, /^job_1 is cancelled: /)
    assert.equal((await place.run('remove', 'job_1')).code, EXIT.ok)
    assert.equal((await place.run('show', 'job_1')).code, EXIT.failed)
  })

  it('shows results, and bodies as they are', async () => {
    await using place = await createPlace()
    await place.run('submit', URL)
    const { body, ...answer } = fakeAnswer({ url: URL, isolation: 'destination' } as FetchRequest, {
      ...{ body: Buffer.from([0, 255]), headers: [] },
    })
    const fetch: JobFetchView = {
      ...{ n: 0, url: URL, method: 'GET', responseEncoding: 'auto', state: 'done', phase: undefined, tries: 2 },
      ...{ nextAt: undefined, endedAt: 1, answer, body, bodyBytes: 2, problem: undefined },
    }
    const problem = { code: 'onion_not_found' as const, message: 'It is not there', attempts: [], redirects: [] }
    place.jobs.fetches.push(fetch, { ...fetch, n: 1, state: 'failed', answer: undefined, body: undefined, problem })
    const { out } = await place.run('results', 'job_1')
    assert.match(
      out,
      /^n +state +tries +outcome +bytes +url\n0 +done +2 +200 +2 +http:\/\/example\.onion\/\n1 +failed +2 +onion_not_found +/,
    )
    assert.equal((await place.run('results', 'job_1', '0')).out, '\u0000\u00ff')
    assert.equal(JSON.parse((await place.run('results', 'job_1', '0', '--json')).out).answer.body, 'AP8=')
    assert.match(
      (await place.run('results', 'job_1', '1')).err,
      /^cbtor: Cannot show the body of fetch 1: it is failed: It is not there/,
    )
    assert.equal((await place.run('results', 'job_1', 'x')).code, EXIT.usage)
  })

  it('lets no target give a terminal orders', async () => {
    await using place = await createPlace()
    await place.run('submit', URL)
    const body = Buffer.from('\x1b]0;gotcha\x07\u009b2J')
    const { body: _, ...answer } = fakeAnswer({ url: URL, isolation: 'destination' } as FetchRequest, { body })
    const fetch: JobFetchView = {
      ...{ n: 0, url: `${URL}\u009b31m`, method: 'GET', responseEncoding: 'auto', state: 'done', phase: undefined },
      ...{ tries: 2, nextAt: undefined, endedAt: 1, answer, body, bodyBytes: body.length, problem: undefined },
    }
    place.jobs.fetches.push(fetch, { ...fetch, n: 1, body: Buffer.from([0, 255]), bodyBytes: 2 })
    assert.match(await place.see('results', 'job_1'), /http:\/\/example\.onion\/\\x9b31m/)
    assert.equal(await place.see('results', 'job_1', '0'), '\\x1b]0;gotcha\\x07\\x9b2J')
    assert.match(await place.see('results', 'job_1', '1'), /^cbtor: The body is binary/)
    const file = join(place.directory, 'body')
    assert.equal(await place.see('results', 'job_1', '0', '-o', file), '')
    assert.deepEqual(readFileSync(file), body)
  })
})
