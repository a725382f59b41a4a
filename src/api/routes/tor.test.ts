import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from '../../domain/errors.ts'
import { onAbort } from '../../lib/abort.ts'
import { fakeInspection } from '../fake-backend.ts'
import { createTestApp } from '../test-app.ts'

const NOTHING = { circuits: null, guards: null, traffic: null, clock_skew_s: null, consensus: null }

/** The part of a worker's status that only its Tor can tell. */
function inspectedPart(status: Record<string, unknown>) {
  const { circuits, guards, traffic, clock_skew_s, consensus, not_told } = status
  return { circuits, guards, traffic, clock_skew_s, consensus, not_told }
}

describe('GET /api/v1/tor/workers/{n}', { timeout: 10_000 }, () => {
  it('has what Tor tells of circuits, guards, traffic, clock and consensus', async () => {
    await using test = await createTestApp()
    const guard = { nickname: null, fingerprint: 'B'.repeat(40) }
    assert.deepEqual(inspectedPart((await test.app.inject({ url: '/api/v1/tor/workers/1' })).json()), {
      circuits: [
        {
          id: '7',
          status: 'BUILT',
          purpose: 'GENERAL',
          path: [
            { ...guard, address: null, country: null },
            { nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '203.0.113.7', country: 'de' },
          ],
          age_s: 1_000,
        },
        { id: '8', status: 'LAUNCHED', purpose: null, path: [], age_s: null },
      ],
      guards: [{ ...guard, status: 'up' }],
      traffic: { read_bytes: 10, written_bytes: 20 },
      clock_skew_s: -3,
      consensus: { valid_until: '1970-01-01T00:00:10.000Z', age_s: 1_000 },
      not_told: null,
    })
    assert.equal(test.clock.pending, 0)
  })

  it('names what Tor did not tell', async () => {
    await using test = await createTestApp()
    test.backend.inspection = async () => ({ ...fakeInspection, guards: undefined, consensus: undefined })
    const status = (await test.app.inject({ url: '/api/v1/tor/workers/1' })).json()
    assert.deepEqual([status.guards, status.consensus], [null, null])
    assert.equal(status.circuits.length, 2)
    assert.equal(status.not_told, 'Tor did not tell: guards, consensus')
  })

  it('answers within 1 s when Tor hangs, with the reason', async () => {
    await using test = await createTestApp()
    test.backend.inspection = () => new Promise(() => {})
    const answered = test.app.inject({ url: '/api/v1/tor/workers/1' })
    await test.clock.advance(1_000)
    const response = await answered
    assert.equal(response.statusCode, 200)
    const not_told = 'Cannot ask Tor: it did not answer within 1000 ms'
    assert.deepEqual(inspectedPart(response.json()), { ...NOTHING, not_told })
    assert.equal(response.json().state, 'healthy')
    assert.equal(test.clock.pending, 0)
  })

  it('tells what was known when time was up', async () => {
    await using test = await createTestApp()
    const nothing = { circuits: undefined, guards: undefined, consensus: undefined, clockSkew: undefined }
    test.backend.inspection = (_id, signal) =>
      new Promise((resolve) => onAbort(signal, () => resolve({ ...fakeInspection, ...nothing })))
    const answered = test.app.inject({ url: '/api/v1/tor/workers/1' })
    await test.clock.advance(1_000)
    assert.deepEqual((await answered).json().traffic, { read_bytes: 10, written_bytes: 20 })
  })

  it('answers all the same when Tor cannot be asked, and shows nothing of a bug', async () => {
    await using test = await createTestApp()
    const notToldFor = async (error: Error) => {
      test.backend.inspection = () => Promise.reject(error)
      return (await test.app.inject({ url: '/api/v1/tor/workers/1' })).json().not_told
    }
    assert.equal(
      await notToldFor(new CbtorError('worker_unreachable', 'Cannot ask Tor: it does not run')),
      'Cannot ask Tor: it does not run',
    )
    assert.equal(await notToldFor(new TypeError('secret')), 'Cannot ask Tor: an error of this service')
  })
})
