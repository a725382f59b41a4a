import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import { seededRandom } from '../lib/random.ts'
import {
  connectLimitMs,
  type FailedTry,
  hedgeAfterMs,
  MAX_TRIES,
  mayHedge,
  mostTelling,
  nextTry,
  shouldTryElsewhere,
  waitBeforeNextMs,
} from './retry-policy.ts'

const CODES = Object.keys(PROBLEMS) as ProblemCode[]
const unsent = (...codes: ProblemCode[]): FailedTry[] => codes.map((code) => failed(code, false))
const sent = (...codes: ProblemCode[]): FailedTry[] => codes.map((code) => failed(code, true))

function failed(code: ProblemCode, wasSent: boolean): FailedTry {
  return { error: new CbtorError(code, code), wasSent }
}

describe('shouldTryElsewhere()', () => {
  it('tries a fault of the worker or its circuit elsewhere until the tries are used up', () => {
    for (const code of ['worker_unreachable', 'worker_network', 'tor_timeout', 'exit_policy'] as const) {
      assert.equal(shouldTryElsewhere('POST', unsent(code)), true, code)
      assert.equal(shouldTryElsewhere('POST', unsent(code, code)), true, code)
      assert.equal(shouldTryElsewhere('POST', unsent(code, code, code)), false, code)
    }
    for (const code of ['onion_intro_failed', 'onion_rendezvous_failed', 'onion_intro_timeout'] as const) {
      assert.equal(shouldTryElsewhere('GET', unsent(code, code)), true, code)
    }
  })

  it('lets one other worker confirm a fault of the target', () => {
    const onion = ['onion_not_found', 'onion_descriptor_invalid'] as const
    const tls = CODES.filter((code) => code.startsWith('tls_'))
    assert.equal(tls.length, 7)
    for (const code of ['resolve_failed', 'no_route', 'connection_refused', ...onion, ...tls] as const) {
      assert.equal(shouldTryElsewhere('GET', unsent(code)), true, code)
      assert.equal(shouldTryElsewhere('GET', unsent(code, code)), false, code)
      assert.equal(shouldTryElsewhere('GET', unsent('tor_timeout', code)), true, code)
      assert.equal(shouldTryElsewhere('GET', unsent(code, 'tor_failure')), true, code)
    }
  })

  it('asks one other worker, and no more, when Tor has tried circuit after circuit', () => {
    const others = ['tor_failure', 'no_usable_exit', 'resolve_failed', 'connection_refused', 'onion_not_found'] as const
    for (const code of ['tor_failure', 'tor_extended', 'no_usable_exit'] as const) {
      assert.equal(shouldTryElsewhere('POST', unsent(code)), true, code)
      assert.equal(shouldTryElsewhere('GET', unsent('worker_unreachable', code)), true, code)
      assert.equal(shouldTryElsewhere('GET', unsent(code, 'worker_unreachable')), true, code)
      for (const other of others)
        assert.equal(shouldTryElsewhere('GET', unsent(code, other)), false, `${code} ${other}`)
    }
  })

  it('leaves alone what is the same from everywhere', () => {
    const final: ProblemCode[] = ['onion_auth_required', 'onion_auth_rejected', 'onion_address_invalid', 'internal']
    final.push('target_forbidden', 'response_too_large', 'decompression_limit', 'bad_response', 'redirect_limit')
    final.push('timeout', 'client_gone', 'no_worker')
    for (const code of final) assert.equal(shouldTryElsewhere('GET', unsent(code)), false, code)
  })

  it('repeats a request that may have arrived only when its method is idempotent', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
      assert.equal(shouldTryElsewhere(method, sent('connection_lost')), true, method)
      assert.equal(shouldTryElsewhere(method, unsent('connection_refused')), true, method)
    }
    for (const method of ['POST', 'PATCH', 'get', 'QUERY', 'PURGE']) {
      assert.equal(shouldTryElsewhere(method, sent('connection_lost')), false, method)
      assert.equal(shouldTryElsewhere(method, unsent('connection_refused')), false, method)
      for (const code of CODES) assert.equal(shouldTryElsewhere(method, sent(code)), false, `${method} ${code}`)
    }
  })

  it('ends, whatever goes wrong', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...CODES), { minLength: MAX_TRIES }), (codes) => {
        assert.equal(shouldTryElsewhere('GET', unsent(...codes)), false)
      }),
    )
  })
})

describe('nextTry()', () => {
  const session = { stickyKey: 'me' }

  it('lets a session leave its worker for nothing but a fault of the worker', () => {
    const moves = CODES.filter((code) => nextTry('GET', session, unsent(code)) === 'elsewhere')
    assert.deepEqual(moves.sort(), [
      'exit_rule_unsupported',
      'resolve_unsupported',
      'tor_timeout',
      'worker_network',
      'worker_unreachable',
    ])
    for (const code of moves) assert.equal(nextTry('POST', session, unsent(code)), 'elsewhere', code)
    assert.equal(nextTry('POST', session, sent('worker_unreachable')), 'none')
  })

  it('has the worker of a session try once more where a circuit may have broken', () => {
    const codes = ['connection_lost', 'tor_failure', 'onion_intro_failed', 'onion_rendezvous_failed'] as const
    for (const code of codes) {
      assert.equal(nextTry('GET', session, sent(code)), 'again', code)
      assert.equal(nextTry('GET', session, sent(code, code)), 'none', code)
      assert.equal(nextTry('POST', session, sent(code)), 'none', code)
    }
    assert.equal(nextTry('POST', session, unsent('tor_failure')), 'again')
    assert.equal(nextTry('GET', session, unsent('tor_timeout', 'connection_lost')), 'again')
    for (const code of [
      'connection_refused',
      'resolve_failed',
      'tls_failure',
      'exit_policy',
      'no_usable_exit',
    ] as const)
      assert.equal(nextTry('GET', session, unsent(code)), 'none', code)
    assert.equal(nextTry('GET', session, unsent('tls_handshake_lost')), 'again')
  })

  it('asks any other worker for a request of no session, as shouldTryElsewhere() says', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...CODES), { minLength: 1, maxLength: 4 }), (codes) => {
        const isElsewhere = nextTry('GET', { stickyKey: 'me', workerId: 'w1' }, unsent(...codes)) === 'elsewhere'
        assert.equal(isElsewhere, shouldTryElsewhere('GET', unsent(...codes)))
      }),
    )
  })
})

describe('waitBeforeNextMs()', () => {
  it('waits only when two workers have the same trouble, and never for one that is plainly down', () => {
    const wait = (...codes: ProblemCode[]) => waitBeforeNextMs(unsent(...codes), { ...seededRandom(1), float: () => 1 })
    assert.equal(wait(), 0)
    assert.equal(wait('tor_timeout'), 0)
    assert.equal(wait('tor_timeout', 'tor_failure'), 0)
    assert.equal(wait('worker_unreachable', 'worker_unreachable'), 0)
    assert.equal(wait('tor_failure', 'tor_failure'), 500)
    assert.equal(wait('tor_failure', 'worker_unreachable', 'tor_failure'), 500)
  })
})

describe('mayHedge()', () => {
  it('asks two workers only for what reads, belongs to no session and names no worker', () => {
    assert.equal(mayHedge('GET', { hedge: true }), true)
    assert.equal(mayHedge('HEAD', { hedge: true }), true)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'get'])
      assert.equal(mayHedge(method, { hedge: true }), false)
    assert.equal(mayHedge('GET', {}), false)
    assert.equal(mayHedge('GET', { hedge: true, stickyKey: 'me' }), false)
    assert.equal(mayHedge('GET', { hedge: true, workerId: 'w1' }), false)
  })

  it('gives the first worker 2 s, or as long as most take', () => {
    assert.equal(hedgeAfterMs(undefined), 2_000)
    assert.equal(hedgeAfterMs(500), 2_000)
    assert.equal(hedgeAfterMs(3_500), 3_500)
    assert.equal(hedgeAfterMs(60_000), 5_000, 'slow times do not switch hedging off')
  })
})

describe('mostTelling()', () => {
  it('prefers what was learned of the target to what Tor or a worker could not do', () => {
    assert.equal(
      mostTelling(unsent('connection_refused', 'tor_timeout', 'worker_unreachable'))?.code,
      'connection_refused',
    )
    assert.equal(mostTelling(unsent('worker_unreachable', 'tor_timeout', 'tor_failure'))?.code, 'tor_failure')
    assert.equal(mostTelling(unsent('tor_timeout', 'target_forbidden'))?.code, 'target_forbidden')
  })
})

describe('connectLimitMs()', () => {
  it('leaves time for another worker', () => {
    assert.equal(connectLimitMs(false, 100_000), 20_000)
    assert.equal(connectLimitMs(false, 10_000), 5_000)
    assert.equal(connectLimitMs(true, 300_000), 60_000)
    assert.equal(connectLimitMs(true, 40_000), 30_000)
  })
})
