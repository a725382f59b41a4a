import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { CbtorError } from '../domain/errors.ts'
import { unlessUnheardOf } from './failure.ts'

const lost = new CbtorError('connection_lost', 'Cannot complete the exchange: the connection to the target was lost')
const noTls = new CbtorError('tls_handshake_lost', 'Cannot make a secure connection to the target: it was lost')
const badHttp = new CbtorError('bad_response', 'Cannot read the answer: it is not HTTP/1.1')

/** A socket that never read a byte, and one that did. */
const silent = new Socket()
const spoken = Object.defineProperty(new Socket(), 'bytesRead', { value: 12 })

describe('unlessUnheardOf()', () => {
  it('blames nobody for the silent end of a stream of which nobody has said that its target answers', () => {
    for (const failure of [lost, noTls]) {
      const told = unlessUnheardOf({ isUnconfirmed: true, socket: silent }, failure)
      assert.equal(told.code, 'tor_failure')
      assert.match(told.message, /ended without a byte, and this route does not tell/)
      assert.equal(told.cause, failure)
    }
  })

  it('leaves alone what the target has said, what Tor has confirmed, and what is no silence', () => {
    assert.equal(unlessUnheardOf({ isUnconfirmed: true, socket: spoken }, lost), lost)
    assert.equal(unlessUnheardOf({ socket: silent }, lost), lost)
    assert.equal(unlessUnheardOf({ isUnconfirmed: true, socket: silent }, badHttp), badHttp)
  })
})
