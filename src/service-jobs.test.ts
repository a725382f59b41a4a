import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KeyRing } from './auth/key-ring.ts'
import { MemoryKeyStore } from './auth/memory-key-store.ts'
import { parseConfig } from './config/read-config.ts'
import { ANYBODY } from './domain/caller.ts'
import type { FetchRequest } from './domain/exchange.ts'
import { createTargetPolicy } from './fetch/target-policy.ts'
import { MemoryJobStore, MemoryJobs } from './jobs/memory-job-store.ts'
import { ADMIN, testOrder } from './jobs/test-jobs.ts'
import { FakeClock } from './lib/fake-clock.ts'
import { seededRandom } from './lib/random.ts'
import { createJobs } from './service-jobs.ts'

const HOUR_MS = 3_600_000
const silent = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent }

function createPlace(auth: 'on' | 'off' = 'on', kept = new MemoryJobs(), keyStore = new MemoryKeyStore()) {
  const clock = new FakeClock()
  const random = seededRandom(1)
  const keys = new KeyRing({ store: keyStore, clock, random })
  const begun: { readonly request: FetchRequest; readonly signal: AbortSignal }[] = []
  const jobs = createJobs(parseConfig({ state: '/nowhere', auth, jobs: { webhook_allow: ['127.0.0.1:9000'] } }, {}), {
    ...{ clock, random, keys, logger: silent, store: new MemoryJobStore(kept) },
    policy: createTargetPolicy().narrowedBy({ deny: ['denied.test'] }),
    fetch: (request, signal) => {
      begun.push({ request, signal })
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    },
  })
  jobs.start()
  const callerOf = (text: string) => {
    const caller = keys.authenticate(text)
    assert.ok(caller)
    return caller
  }
  return { clock, keys, jobs, begun, callerOf }
}

describe('the jobs of the service', () => {
  it('end with their key, be it revoked or expired', async () => {
    const { clock, keys, jobs, begun, callerOf } = createPlace()
    const revoked = callerOf(keys.create({ name: 'a', scopes: ['fetch'] }).text)
    const expiring = { name: 'b', scopes: ['fetch'] as const, expiresAt: clock.now() + HOUR_MS }
    const expired = callerOf(keys.create(expiring).text)
    for (const caller of [revoked, expired]) jobs.submit(caller, testOrder('a'))
    keys.revoke(revoked.id)
    assert.deepEqual(
      begun.map(({ signal }) => signal.aborted),
      [true, false],
    )
    await clock.advance(HOUR_MS)
    assert.ok(begun[1]?.signal.aborted)
    assert.deepEqual(jobs.list(ADMIN, { owner: '*', limit: 9 }).items, [])
    await jobs[Symbol.asyncDispose]()
  })

  it('go on at the next start as the key that they belong to, or are gone with it', async () => {
    const kept = new MemoryJobs()
    const keyStore = new MemoryKeyStore()
    const { keys, jobs, callerOf } = createPlace('on', kept, keyStore)
    const [good, gone] = ['a', 'b'].map((name) =>
      callerOf(keys.create({ name, scopes: ['fetch'], limits: { rate: 3 } }).text),
    )
    assert.ok(good && gone)
    const { id } = jobs.submit(good, testOrder('a')).job
    jobs.submit(gone, testOrder('b'))
    await jobs[Symbol.asyncDispose]()
    keyStore.removeKey(gone.id)
    const again = createPlace('on', kept, keyStore)
    assert.deepEqual(
      again.begun.map(({ request }) => [request.url, request.caller]),
      [['http://a.test/0', good]],
    )
    assert.deepEqual(
      again.jobs.list(ADMIN, { owner: '*', limit: 9 }).items.map((job) => job.id),
      [id],
    )
    await again.jobs[Symbol.asyncDispose]()
  })

  it('of a time without keys rest while keys are asked for', async () => {
    const kept = new MemoryJobs()
    const open = createPlace('off', kept)
    const { id } = open.jobs.submit(ANYBODY, testOrder('a')).job
    assert.equal(open.begun.length, 1)
    await open.jobs[Symbol.asyncDispose]()
    const closed = createPlace('on', kept)
    await closed.clock.advance(HOUR_MS)
    assert.deepEqual([closed.begun.length, closed.jobs.get(ADMIN, id).state], [0, 'running'])
    await closed.jobs[Symbol.asyncDispose]()
    const reopened = createPlace('off', kept)
    assert.equal(reopened.begun.length, 1)
    await reopened.jobs[Symbol.asyncDispose]()
  })

  it('tell of their end only where the configuration and the key let them', async () => {
    const { keys, jobs, callerOf } = createPlace()
    const caller = callerOf(keys.create({ name: 'a', scopes: ['fetch'], targets: { deny: ['forbidden.test'] } }).text)
    const submit = (url: string) => jobs.submit(caller, testOrder('a', 1, { webhook: { url } }))
    for (const url of [
      'http://127.0.0.1:9001/',
      'http://denied.test/',
      'http://a.forbidden.test/',
      'http://127.1:9001/',
    ])
      assert.throws(() => submit(url), { code: 'target_forbidden' }, url)
    submit('http://127.0.0.1:9000/')
    submit('https://example.com/')
    await jobs[Symbol.asyncDispose]()
  })
})
