import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../../domain/errors.ts'
import { type CircuitsRenewed, circuitsRenewed } from '../../domain/events.ts'
import { fakeRenewal } from '../fake-backend.ts'
import { createTestApp } from '../test-app.ts'

/** Orders new circuits of a Tor that acts `inMs` from now. */
async function createOrder(inMs: number) {
  const test = await createTestApp()
  const { promise, resolve, reject } = Promise.withResolvers<CircuitsRenewed>()
  test.backend.renewal = () => ({ actsAt: test.clock.now() + inMs, acted: promise })
  const post = (query = '', payload?: object) =>
    test.app.inject({ method: 'POST', url: `/api/v1/tor/workers/2/newnym${query}`, ...(payload && { payload }) })
  return { ...test, resolve, reject, post }
}

describe('POST /api/v1/tor/workers/{n}/newnym', { timeout: 10_000 }, () => {
  it('answers once Tor has acted, with the exits before and after', async () => {
    await using test = await createOrder(0)
    test.resolve(fakeRenewal)
    const response = await test.post()
    assert.equal(response.statusCode, 200)
    const exit = { nickname: 'exit1', address: '203.0.113.7', country: 'de' }
    assert.deepEqual(response.json(), {
      worker: 'tor02',
      exits_before: [{ ...exit, fingerprint: 'A'.repeat(40) }],
      exits_after: [{ ...exit, fingerprint: 'C'.repeat(40) }],
      exit_changed: true,
      took_ms: 12.35,
    })
    assert.deepEqual(test.backend.calls, ['newCircuits tor02'])
    assert.equal(test.clock.pending, 0)
  })

  it('says so when the exit is the same, or is not known', async () => {
    const [exit] = fakeRenewal.exitsBefore
    assert.ok(exit)
    for (const [after, expected] of [[[exit], false] as const, [[], null] as const]) {
      await using test = await createOrder(0)
      test.resolve(circuitsRenewed([exit], after, 1))
      assert.equal((await test.post()).json().exit_changed, expected)
    }
  })

  it('answers 202 at once when Tor acts later than the caller waits', async () => {
    for (const [query, payload] of [['?wait_ms=0'], ['?wait_ms=7999'], ['', { wait_ms: 5_000 }]] as const) {
      await using test = await createOrder(8_000)
      const response = await test.post(query, payload)
      assert.equal(response.statusCode, 202)
      assert.deepEqual(response.json(), { worker: 'tor02', acts_at: '1970-01-01T00:16:48.000Z' })
    }
    await using due = await createOrder(0)
    assert.equal((await due.post('', { wait_ms: 0 })).statusCode, 202)
    due.reject(new CbtorError('worker_unreachable', 'nobody hears of this'))
  })

  it('waits for 12 s unless told otherwise, and answers 202 when Tor is not done by then', async () => {
    await using test = await createOrder(10_000)
    const answered = test.post('', {})
    await test.clock.advance(11_999)
    const early = Promise.resolve('none')
    assert.equal(await Promise.race([answered.then(({ statusCode }) => statusCode), early]), 'none')
    await test.clock.advance(1)
    assert.equal((await answered).statusCode, 202)
    test.reject(new CbtorError('worker_unreachable', 'nobody waits for this any more'))
  })

  it('answers with the problem when the order cannot be given or carried out', async () => {
    await using test = await createOrder(0)
    test.reject(new CbtorError('worker_unreachable', 'Cannot get new circuits: Tor exited'))
    assert.equal((await test.post()).json().code, 'worker_unreachable')
    test.backend.renewal = () => {
      throw new CbtorError('conflict', 'Cannot get new circuits: worker "tor02" is stopped')
    }
    assert.equal((await test.post()).statusCode, 409)
  })
})
