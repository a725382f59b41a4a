import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CbtorError } from './errors.ts'
import type { Attempt } from './exchange.ts'
import type { ProblemCode } from './problems.ts'
import { wasNotSent } from './was-sent.ts'

function failed(code: ProblemCode, ...outcomes: Attempt['outcome'][]): CbtorError {
  const attempts = outcomes.map((outcome) => ({ worker: 'tor01', outcome, ms: 1 }))
  return new CbtorError(code, 'It failed', { attempts })
}

describe('wasNotSent()', () => {
  it('is true where all tries ended before a byte was written, or there were none', () => {
    assert.ok(wasNotSent(failed('rate_limited')))
    assert.ok(wasNotSent(failed('quota_exceeded')))
    assert.ok(wasNotSent(failed('onion_not_found', 'tor_timeout', 'onion_not_found')))
    assert.ok(wasNotSent(failed('quota_exceeded', 'tor_timeout')))
  })

  it('is false where one of them may have come further, be it that a limit cut it off', () => {
    assert.equal(wasNotSent(failed('connection_lost', 'connection_lost')), false)
    assert.equal(wasNotSent(failed('tor_timeout', 'connection_lost', 'tor_timeout')), false)
    assert.equal(wasNotSent(failed('quota_exceeded', 'quota_exceeded')), false)
  })
})
