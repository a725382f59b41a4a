import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { startValkey, type Valkey } from '../../../test/valkey.ts'
import { openStore } from '../../cluster/open-store.ts'
import type { ValkeyLink } from '../../cluster/valkey-link.ts'
import { CbtorError } from '../../domain/errors.ts'
import { systemClock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { systemRandom } from '../../lib/random.ts'
import type { StoredJob } from '../job-store.ts'
import { keptProblem } from '../kept.ts'
import { TEST_POLICY, testAnswer, testFetch } from '../test-jobs.ts'
import { JobLedger } from './job-ledger.ts'

const NOW = 1_000_000
const HUNG = { timeout: 120_000 }
const LIMITS = { maxJobs: 1_000, maxJobsPerCaller: 1_000, maxBytes: 1e9, slots: 3, oldestKey: 0 }
const PROBLEM = keptProblem(new CbtorError('connection_lost', 'It is lost'))
const PROBLEMS = { late: PROBLEM, interrupted: PROBLEM, mayBeSent: PROBLEM }

function jobOf(id: string, owner = 'alice', fetches = 4): StoredJob {
  return {
    ...{ id, owner, name: undefined, state: 'running', createdAt: NOW, endedAt: undefined, deadlineAt: NOW + 1_000 },
    ...{ fetches, retry: TEST_POLICY.retry, webhook: undefined, delivery: { state: 'idle', tries: 0 } },
  }
}

const fetchesOf = (count: number, method = 'GET') =>
  Array.from({ length: count }, (_, n) => testFetch(`http://a.test/${n}`, { method }))

describe('JobLedger', HUNG, () => {
  let store: Valkey
  let link: ValkeyLink
  let count = 0
  before(async () => {
    store = await startValkey()
    const shared = { clock: systemClock, random: systemRandom, logger: createLogger('silent') }
    link = await openStore(
      {
        ...{ ...shared, url: store.url, password: undefined, ca: undefined, prefix: 'test', replica: 'gw1' },
        ...{ version: '1.0.0', waitMs: 0, secret: Buffer.alloc(32, 1) },
      },
      new AbortController().signal,
    )
  })
  after(async () => {
    await link[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  })
  /** Of a run each, on a store with nothing in it. */
  const ledgers = async (...runs: readonly string[]) => {
    await store.cli('FLUSHALL')
    return runs.map((run) => new JobLedger({ link, run, secret: Buffer.alloc(32, 1), random: systemRandom }))
  }
  const sum = async (field: string) => Number(await store.cli('HGET', '{test}:jobs:sum', field))
  const turn = () => `turn${count++}`

  it('takes the first end of a fetch, and no other', async () => {
    const [one, two] = await ledgers('one', 'two')
    assert.ok(one && two)
    await one.add(jobOf('a', 'alice', 1), fetchesOf(1), LIMITS)
    const slot = { id: 'a', slot: 0 }
    const begun = await one.begin(slot, 'first', NOW, PROBLEMS)
    assert.deepEqual([begun.type, await one.begin(slot, 'first', NOW, PROBLEMS)], ['go', begun])
    assert.equal((await two.begin(slot, 'second', NOW, PROBLEMS)).type, 'held')
    await one.leave()
    const again = await two.begin(slot, 'second', NOW, PROBLEMS)
    assert.ok(again.type === 'go' && again.failures.http === 1)
    const done = { type: 'done', answer: testAnswer(testFetch('http://a.test/').request, {}) } as const
    assert.deepEqual(await one.end(slot, 0, 'first', NOW, done), { type: 'lost' })
    assert.deepEqual(await two.end(slot, 0, 'second', NOW, { type: 'failed', problem: PROBLEM }), { type: 'ended' })
    assert.deepEqual(await two.end(slot, 0, 'second', NOW, done), { type: 'lost' })
    const { tally, state } = (await one.job('a')) ?? {}
    assert.deepEqual([state, tally?.done, tally?.failed], ['done', 0, 1])
    assert.equal((await one.results('a', { from: 0, limit: 1 })).items[0]?.tries, 2)
  })

  it('keeps long bodies, which come in pieces, and leaves nothing of them', async () => {
    const [one] = await ledgers('one')
    assert.ok(one)
    await one.add(jobOf('a', 'alice', 2), fetchesOf(2), LIMITS)
    const body = systemRandom.bytes(3_000_000)
    for (const slot of [0, 1]) {
      assert.equal((await one.begin({ id: 'a', slot }, `t${slot}`, NOW, PROBLEMS)).type, 'go')
      const answer = testAnswer(testFetch('http://a.test/').request, { body })
      await one.end({ id: 'a', slot }, slot, `t${slot}`, NOW, { type: 'done', answer })
    }
    const { items } = await one.results('a', { from: 0, limit: 2 })
    assert.deepEqual(
      items.map(({ body: kept }) => kept instanceof Uint8Array && body.equals(kept)),
      [true, true],
    )
    await one.makeRoom(3_500_000, 1)
    assert.equal(await store.cli('--scan', '--pattern', '*:b:*'), '')
    assert.equal((await one.results('a', { from: 0, limit: 1 })).items[0]?.body, 'removed')
    await one.remove('a')
    assert.equal(await store.cli('--scan', '--pattern', '*:b*:*:*'), '')
  })

  it('sends nothing twice that may have been sent', async () => {
    const [one, two] = await ledgers('one', 'two')
    assert.ok(one && two)
    await one.add(jobOf('a', 'alice', 1), fetchesOf(1, 'POST'), LIMITS)
    const slot = { id: 'a', slot: 0 }
    assert.equal((await one.begin(slot, 'first', NOW, PROBLEMS)).type, 'go')
    await one.leave()
    assert.deepEqual(await two.begin(slot, 'second', NOW, PROBLEMS), { type: 'ended' })
    assert.equal((await two.job('a'))?.tally.failed, 1)
  })

  it('does not take what another pool has sealed', async () => {
    const [one] = await ledgers('one')
    assert.ok(one)
    await one.add(jobOf('a', 'alice', 1), fetchesOf(1), LIMITS)
    const other = new JobLedger({ link, run: 'x', secret: Buffer.alloc(32, 2), random: systemRandom })
    const begun = await other.begin({ id: 'a', slot: 0 }, 'turn', NOW, PROBLEMS)
    assert.ok(begun.type === 'go' && begun.request === undefined && begun.retry === undefined)
    await assert.rejects(other.job('a'), /not sealed by this pool/)
  })

  it('gives callers their turns in line, one after the other', async () => {
    const [one] = await ledgers('one')
    assert.ok(one)
    await one.add(jobOf('a'), fetchesOf(4), LIMITS)
    await one.add(jobOf('b'), fetchesOf(4), LIMITS)
    await one.add(jobOf('c', 'bob'), fetchesOf(4), LIMITS)
    const units = await one.toGive(0, 100)
    const first = [...units]
      .sort((x, y) => x.tag - y.tag)
      .slice(0, 6)
      .map(({ owner }) => owner)
    assert.equal(first.filter((owner) => owner === 'bob').length, 3)
    await one.given(units.map(({ id }) => id))
    assert.deepEqual(await one.toGive(0, 100), [])
    assert.equal(await one.recheck(0, 10), 3)
    assert.equal((await one.toGive(0, 100)).length, 9)
  })

  it('counts right, whatever comes in whatever order, and ends what it took', async () => {
    type Step = { readonly kind: string; readonly job: number; readonly slot: number; readonly who: number }
    const step = fc.record({
      kind: fc.constantFrom(
        'turn',
        'turn',
        'turn',
        'fail',
        'retry',
        'wait',
        'leave',
        'rest',
        'cancel',
        'room',
        'begin',
      ),
      job: fc.nat(2),
      slot: fc.nat(2),
      who: fc.nat(1),
    })
    const run = async (steps: readonly Step[]) => {
      const found = await ledgers('one', 'two')
      const ids = ['a', 'b', 'c']
      const main = found[0] as JobLedger
      for (const [n, id] of ids.entries())
        await main.add(jobOf(id, n === 2 ? 'bob' : 'alice'), fetchesOf(4, n === 1 ? 'POST' : 'GET'), LIMITS)
      let now = NOW
      const act = async ({ kind, job, slot, who }: Step): Promise<void> => {
        const [ledger, id = ''] = [found[who], ids[job]]
        assert.ok(ledger)
        const at = { id, slot }
        if (kind === 'leave') return await ledger.leave()
        if (kind === 'cancel') return void (job === 2 && (await ledger.cancel(id, now)))
        if (kind === 'room') return void (await ledger.makeRoom(2_000, 1))
        if (kind === 'rest') return void (await ledger.rest(at, now + 5))
        const name = turn()
        const begun = await ledger.begin(at, name, now, PROBLEMS)
        if (begun.type !== 'go' || kind === 'begin') return
        const answer = testAnswer(testFetch('http://a.test/').request, { body: Buffer.alloc(500) })
        const endings = {
          fail: { type: 'failed', problem: PROBLEM },
          retry: { type: 'retry', phase: 'circuit', at: now + 3, problem: PROBLEM },
          wait: { type: 'wait', at: now + 2 },
        } as const
        const ending = endings[kind as keyof typeof endings] ?? ({ type: 'done', answer } as const)
        await ledger.end(at, begun.n, name, now, ending)
        // The answer was lost, and it is said again.
        assert.equal((await ledger.end(at, begun.n, name, now, ending)).type, 'lost')
      }
      const check = async (): Promise<void> => {
        for (const id of ids) {
          const job = await main.job(id)
          if (job === undefined) continue
          const states = (await main.results(id, { from: 0, limit: 10 })).items.map(({ state }) => state)
          const { tally } = job
          const all = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((x, y) => x + y)
          const told = { waiting: all(tally.waiting), running: all(tally.running), done: tally.done }
          const counted = { ...told, failed: tally.failed, cancelled: tally.cancelled }
          for (const [state, n] of Object.entries(counted))
            assert.equal(n, states.filter((each) => each === state).length, `${id} ${state}`)
          assert.equal(job.state === 'running', told.waiting + told.running > 0)
        }
        const { jobs, bytes } = await main.sums()
        assert.ok(bytes >= 0 && Object.values(jobs).every((n) => n >= 0))
      }
      for (const each of steps) {
        await act(each)
        now += 1
        await check()
      }
      for (const each of found) await each.leave()
      // Whoever has a turn from now on gets it done: every job ends.
      for (let n = 0; n < 60; n++) {
        now += 5
        for (const job of [0, 1, 2]) await act({ kind: 'turn', job, slot: n % 3, who: 0 })
        await main.leave()
      }
      await check()
      assert.deepEqual([(await main.sums()).jobs.running, await sum('ln')], [0, 0])
      for (const id of ids) await main.remove(id)
      assert.equal((await main.sums()).bytes, 0)
      assert.equal(await store.cli('--scan', '--pattern', '*:f:*'), '')
      assert.equal(await store.cli('--scan', '--pattern', '*:b:*'), '')
    }
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25 }), run), { numRuns: 25 })
  })
})
