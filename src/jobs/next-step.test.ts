import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { PHASES, type Phase, type RetryPolicy } from '../domain/job.ts'
import { isIdempotent } from '../domain/method.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import { type FetchHistory, nextStep, type Outcome, phaseOf } from './next-step.ts'

const SECOND = 1_000
const NOW = 1_000_000

const policy: RetryPolicy = {
  phases: {
    descriptor: { delaysMs: [30 * SECOND, 60 * SECOND, 600 * SECOND], maxRetries: 5 },
    circuit: { delaysMs: [10 * SECOND], maxRetries: 2 },
    http: { delaysMs: [20 * SECOND], maxRetries: 1 },
  },
  statuses: [429, 503],
}

function history(change: Partial<FetchHistory> = {}): FetchHistory {
  return {
    method: 'GET',
    isTied: false,
    failures: { descriptor: 0, circuit: 0, http: 0 },
    deadlineAt: NOW + 3_600 * SECOND,
    ...change,
  }
}

function failed(code: ProblemCode, change: Partial<Extract<Outcome, { type: 'failed' }>['error']> = {}): Outcome {
  return { type: 'failed', error: { code, attempts: [], redirects: [], retryAfterMs: undefined, ...change } }
}

/** The failures of a phase so far, and the rest none. */
const after = (phase: Phase, count: number) => ({
  failures: { descriptor: 0, circuit: 0, http: 0, [phase]: count },
})

describe('nextStep()', () => {
  it('waits longer after each failure of a phase, until the policy has no more retries', () => {
    const waits = [0, 1, 2, 3, 4, 5].map((count) => {
      const step = nextStep(history(after('descriptor', count)), failed('onion_not_found'), NOW, policy, 0.999_999)
      return step.type === 'retry' ? Math.round((step.at - NOW) / SECOND) : step.type
    })
    assert.deepEqual(waits, [30, 60, 600, 600, 600, 'end'])
  })

  it('takes the whole of the delay as what chance may choose from, but for a second', () => {
    const at = (jitter: number) => nextStep(history(), failed('onion_not_found'), NOW, policy, jitter)
    assert.deepEqual(at(0), { type: 'retry', phase: 'descriptor', at: NOW + SECOND })
    assert.deepEqual(at(0.5), { type: 'retry', phase: 'descriptor', at: NOW + 15 * SECOND })
  })

  it('counts each phase apart', () => {
    const used = history(after('circuit', 2))
    assert.equal(nextStep(used, failed('onion_intro_failed'), NOW, policy, 0.5).type, 'end')
    assert.equal(nextStep(used, failed('onion_not_found'), NOW, policy, 0.5).type, 'retry')
    assert.equal(nextStep(used, failed('connection_lost'), NOW, policy, 0.5).type, 'retry')
  })

  it('tells the phases of problems', () => {
    const expected: Partial<Record<ProblemCode, Phase | undefined>> = {
      onion_not_found: 'descriptor',
      onion_descriptor_invalid: 'descriptor',
      onion_intro_failed: 'circuit',
      onion_intro_timeout: 'circuit',
      onion_rendezvous_failed: 'circuit',
      tor_failure: 'circuit',
      tor_timeout: 'circuit',
      worker_unreachable: 'circuit',
      worker_network: 'circuit',
      connection_refused: 'http',
      connection_lost: 'http',
      timeout: 'http',
      no_route: 'http',
      tls_handshake_lost: 'http',
      tls_untrusted: undefined,
      url_invalid: undefined,
      target_forbidden: undefined,
      onion_auth_required: undefined,
      session_worker_lost: undefined,
      response_too_large: undefined,
      internal: undefined,
    }
    for (const [code, phase] of Object.entries(expected)) assert.equal(phaseOf(code as ProblemCode), phase, code)
  })

  it('waits out what this service refuses, for whom it refuses it, without end', () => {
    const worn = history({ failures: { descriptor: 99, circuit: 99, http: 99 } })
    const step = (code: ProblemCode) => nextStep(worn, failed(code, { retryAfterMs: 7 * SECOND }), NOW, policy, 0)
    assert.deepEqual(step('rate_limited'), { type: 'wait', at: NOW + 7 * SECOND, holds: 'caller' })
    assert.deepEqual(step('target_busy'), { type: 'wait', at: NOW + 7 * SECOND, holds: 'fetch' })
    assert.deepEqual(step('no_worker'), { type: 'wait', at: NOW + 7 * SECOND, holds: 'all' })
  })

  it('holds nobody else up for the one worker that a fetch is tied to', () => {
    for (const code of ['no_worker', 'overloaded'] as const) {
      const step = nextStep(history({ isTied: true }), failed(code, { retryAfterMs: 7 * SECOND }), NOW, policy, 0)
      assert.deepEqual(step, { type: 'wait', at: NOW + 7 * SECOND, holds: 'fetch' })
    }
    const free = nextStep(history(), failed('overloaded'), NOW, policy, 0)
    assert.equal(free.type === 'wait' && free.holds, 'caller')
  })

  it('takes statuses for no answer only when asked to, and does what Retry-After says', () => {
    const answered = (status: number): Outcome => ({ type: 'answered', status, retryAfterMs: 120 * SECOND })
    assert.deepEqual(nextStep(history(), answered(503), NOW, policy, 0.5), {
      type: 'retry',
      phase: 'http',
      at: NOW + 120 * SECOND,
    })
    assert.deepEqual(nextStep(history(), answered(503), NOW, { ...policy, statuses: [] }, 0.5), { type: 'end' })
    assert.deepEqual(nextStep(history(), answered(404), NOW, policy, 0.5), { type: 'end' })
    assert.deepEqual(nextStep(history(after('http', 1)), answered(503), NOW, policy, 0.5), { type: 'end' })
  })

  it('repeats a POST only when nothing of it was sent', () => {
    const post = history({ method: 'POST' })
    const attempt = (outcome: ProblemCode) => ({ worker: 'tor01', outcome, ms: 1 })
    const redirect = { status: 307, from: 'http://a.test/', to: 'http://b.test/' }
    const type = (outcome: Outcome) => nextStep(post, outcome, NOW, policy, 0.5).type
    assert.equal(type(failed('onion_not_found', { attempts: [attempt('onion_not_found')] })), 'retry')
    assert.equal(type(failed('rate_limited')), 'wait')
    assert.equal(type(failed('connection_lost')), 'end')
    assert.equal(type(failed('connection_refused')), 'end')
    assert.equal(type(failed('timeout')), 'end')
    assert.equal(type(failed('tor_failure')), 'end')
    assert.equal(type(failed('shutting_down')), 'end')
    assert.equal(type(failed('overloaded', { attempts: [attempt('connection_lost')] })), 'end')
    assert.equal(type(failed('onion_not_found', { redirects: [redirect] })), 'end')
    assert.equal(type({ type: 'answered', status: 503 }), 'end')
  })

  const codes = fc.constantFrom(...(Object.keys(PROBLEMS) as ProblemCode[]))
  const attempts = fc.array(
    codes.map((outcome) => ({ worker: 'tor01', outcome, ms: 1 })),
    { maxLength: 3 },
  )
  const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
    fc
      .record({ code: codes, attempts, retryAfterMs: fc.option(fc.nat(1e8), { nil: undefined }) })
      .map(({ code, ...rest }) => failed(code, rest)),
    fc.record({
      type: fc.constant('answered' as const),
      status: fc.integer({ min: 100, max: 599 }),
      retryAfterMs: fc.nat(1e8),
    }),
  )
  const jitters = fc.double({ min: 0, max: 0.999_999, noNaN: true })

  it('never goes past the deadline, nor back in time, whatever happens', () => {
    fc.assert(
      fc.property(outcomes, jitters, fc.nat(1e8), (outcome, jitter, leftMs) => {
        const step = nextStep(history({ deadlineAt: NOW + leftMs }), outcome, NOW, policy, jitter)
        if (step.type !== 'end') assert.ok(step.at >= NOW + SECOND && step.at < NOW + leftMs)
      }),
    )
  })

  it('ends after as many failures as the phases have retries in all', () => {
    const limit = PHASES.reduce((sum, phase) => sum + policy.phases[phase].maxRetries, 0)
    fc.assert(
      fc.property(fc.array(outcomes, { maxLength: 60 }), jitters, (all, jitter) => {
        const failures = { descriptor: 0, circuit: 0, http: 0 }
        let retries = 0
        for (const outcome of all) {
          const step = nextStep(
            history({ failures, deadlineAt: Number.POSITIVE_INFINITY }),
            outcome,
            NOW,
            policy,
            jitter,
          )
          if (step.type === 'end') break
          if (step.type === 'retry') {
            retries++
            failures[step.phase]++
          }
        }
        assert.ok(retries <= limit)
      }),
    )
  })

  it('sends nothing twice that may have been sent once, unless it is idempotent', () => {
    fc.assert(
      fc.property(outcomes, fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE'), jitters, (outcome, method, jitter) => {
        const step = nextStep(history({ method }), outcome, NOW, policy, jitter)
        if (step.type === 'end' || isIdempotent(method)) return
        assert.equal(outcome.type, 'failed')
        const sent = [
          'connection_lost',
          'connection_refused',
          'timeout',
          'tor_failure',
          'worker_unreachable',
          'shutting_down',
          'tls_failure',
        ]
        if (outcome.type === 'failed')
          for (const code of [outcome.error.code, ...outcome.error.attempts.map((each) => each.outcome)])
            assert.ok(!sent.includes(code), code)
      }),
    )
  })
})
