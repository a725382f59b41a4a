import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { tellsOfClient } from '../lib/telling-header.ts'
import { MemoryJobStore, MemoryJobs } from './memory-job-store.ts'
import { ALICE, createTestJobs, testOrder } from './test-jobs.ts'

const URL_BY_TOR = 'https://receiver.example/hook'
const SECRET = 'a secret of the receiver'

const order = (url: string, secret?: string) =>
  testOrder('target', 2, { name: 'mine', webhook: { url, ...(secret !== undefined && { secret }) } })

describe('the webhook of a job', () => {
  it('is sent through Tor as the caller, signed, and says nothing of the targets', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, order(URL_BY_TOR, SECRET)).job
    assert.deepEqual(test.jobs.get(ALICE, id).webhook, { url: URL_BY_TOR, state: 'idle', tries: 0 })
    for (const each of [...test.going]) each.answer()
    await test.clock.advance(0)
    const [hook] = test.going
    assert.ok(hook)
    const { url, method, caller, isolation, headers, body = Buffer.of() } = hook.request
    assert.deepEqual([url, method, caller, isolation], [URL_BY_TOR, 'POST', ALICE, 'request'])
    const text = Buffer.from(body).toString()
    assert.deepEqual(JSON.parse(text), {
      type: 'job.ended',
      sent_at: '1970-01-01T00:16:40.000Z',
      job: {
        ...{ id, name: 'mine', state: 'done', fetches: 2, done: 2, failed: 0, cancelled: 0 },
        ...{ created_at: '1970-01-01T00:16:40.000Z', ended_at: '1970-01-01T00:16:40.000Z' },
      },
    })
    assert.doesNotMatch(text, /target|hello/)
    const mac = createHmac('sha256', SECRET).update(`${id}.1000.${text}`).digest('base64')
    assert.deepEqual(headers, [
      ['content-type', 'application/json'],
      ['webhook-id', id],
      ['webhook-timestamp', '1000'],
      ['webhook-signature', `v1,${mac}`],
    ])
    assert.deepEqual(
      headers.filter(([name]) => tellsOfClient(name)),
      [],
      'no fetch would take them',
    )
    hook.answer({ status: 204 })
    await test.clock.advance(0)
    assert.deepEqual(test.jobs.get(ALICE, id).webhook, {
      url: URL_BY_TOR,
      state: 'delivered',
      tries: 1,
      outcome: '204',
    })
  })

  it('goes without Tor to what the operator listed, and nowhere else', async () => {
    await using test = createTestJobs()
    test.jobs.submit(ALICE, order('http://127.0.0.1:9000/hook?x'))
    for (const each of [...test.going]) each.answer()
    await test.clock.advance(0)
    assert.deepEqual(
      test.posted.map(({ url }) => url),
      ['http://127.0.0.1:9000/hook?x'],
    )
    assert.equal(test.posted[0]?.headers['webhook-signature'], undefined)
    assert.equal(test.going.length, 0)
  })

  it('is refused when neither Tor nor the operator lets it through', async () => {
    const checkUrl = () => {
      throw new CbtorError('target_forbidden', 'Cannot reach the target')
    }
    await using test = createTestJobs({ checkUrl })
    assert.throws(() => test.jobs.submit(ALICE, order('http://127.0.0.1:9001/')), { code: 'target_forbidden' })
    test.jobs.submit(ALICE, order('http://127.0.0.1:9000/'))
  })

  it('is sent when the job is cancelled, too, and tried again until it is heard or all tries are over', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, order(URL_BY_TOR)).job
    test.jobs.cancel(ALICE, id)
    const hook = () => test.going.find(({ request }) => request.url === URL_BY_TOR)
    hook()?.fail(new CbtorError('tor_timeout', 'It took too long'))
    await test.clock.advance(0)
    const { state, outcome, nextAt } = test.jobs.get(ALICE, id).webhook ?? {}
    assert.deepEqual([state, outcome, nextAt !== undefined], ['pending', 'tor_timeout', true])
    for (let n = 0; n < 20; n++) {
      hook()?.answer({ status: 500 })
      await test.clock.advance(3 * 3_600_000)
    }
    assert.deepEqual(test.jobs.get(ALICE, id).webhook, { url: URL_BY_TOR, state: 'failed', tries: 8, outcome: '500' })
  })

  it('is not sent again to who says that it is gone', async () => {
    await using test = createTestJobs()
    const { id } = test.jobs.submit(ALICE, order(URL_BY_TOR)).job
    test.jobs.cancel(ALICE, id)
    test.going.at(-1)?.answer({ status: 410 })
    await test.clock.advance(0)
    assert.equal(test.jobs.get(ALICE, id).webhook?.state, 'failed')
  })

  it('outlasts a restart', async () => {
    const kept = new MemoryJobs()
    let id = ''
    {
      await using test = createTestJobs({ store: new MemoryJobStore(kept) })
      id = test.jobs.submit(ALICE, order(URL_BY_TOR)).job.id
      test.jobs.cancel(ALICE, id)
    }
    await using test = createTestJobs({ store: new MemoryJobStore(kept) })
    test.going[0]?.answer({ status: 200 })
    await test.clock.advance(0)
    assert.equal(test.jobs.get(ALICE, id).webhook?.state, 'delivered')
  })
})
