import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { CbtorError } from '../domain/errors.ts'
import { PROBLEMS } from '../domain/problems.ts'
import { SocksProtocolError, SocksReplyError, SocksUnreachableError } from '../tor/socks/errors.ts'
import { problemOfDial, problemOfReply, type StreamReason } from './tor-problems.ts'

const none = { reason: undefined, remoteReason: undefined, circuitId: undefined }
const on = (reason: string, remoteReason?: string) => ({ reason, remoteReason, circuitId: '7' })

describe('problemOfReply()', () => {
  it("gives every reply of Tor the problem of the design's table", () => {
    const table: Record<string, [number, string]> = {
      '01': [502, 'tor_failure'],
      '02': [502, 'exit_policy'],
      '03': [503, 'worker_network'],
      '04': [502, 'resolve_failed'],
      '05': [502, 'connection_refused'],
      '06': [504, 'tor_timeout'],
      '07': [500, 'internal'],
      '08': [400, 'host_invalid'],
      '09': [502, 'tor_failure'],
      F0: [502, 'onion_not_found'],
      F1: [502, 'onion_descriptor_invalid'],
      F2: [502, 'onion_intro_failed'],
      F3: [504, 'onion_rendezvous_failed'],
      F4: [403, 'onion_auth_required'],
      F5: [403, 'onion_auth_rejected'],
      F6: [400, 'onion_address_invalid'],
      F7: [504, 'onion_intro_timeout'],
      F8: [502, 'tor_extended'],
      FF: [502, 'tor_extended'],
    }
    for (const [reply, expected] of Object.entries(table)) {
      const code = problemOfReply(Number.parseInt(reply, 16), none)
      assert.deepEqual([PROBLEMS[code].status, code], expected, reply)
    }
  })

  it("lets the stream's reason refine a reply that says little, the exit's own reason first", () => {
    assert.equal(problemOfReply(1, on('PRIVATE_ADDR')), 'target_forbidden')
    assert.equal(problemOfReply(1, on('END', 'CONNECTREFUSED')), 'connection_refused')
    assert.equal(problemOfReply(4, on('END', 'NOROUTE')), 'no_route')
    assert.equal(problemOfReply(4, on('END', 'RESOLVEFAILED')), 'resolve_failed')
    assert.equal(problemOfReply(0xf2, on('TIMEOUT')), 'onion_intro_failed')
  })

  it('takes a reason for a word and not for a property of an object', () => {
    assert.equal(problemOfReply(1, on('constructor', 'toString')), 'tor_failure')
  })

  it('knows an answer to every byte', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 255 }), fc.string(), (reply, reason) => {
        assert.ok(problemOfReply(reply, on(reason)) in PROBLEMS)
      }),
    )
  })
})

describe('problemOfDial()', () => {
  it('says whose fault it is', () => {
    const codeOf = (error: Error) => (problemOfDial(error, 'tor01') as CbtorError).code
    assert.equal(codeOf(new SocksReplyError(5)), 'connection_refused')
    assert.equal(codeOf(new SocksUnreachableError('x')), 'worker_unreachable')
    assert.equal(codeOf(new SocksProtocolError('x')), 'worker_unreachable')
  })

  it('blames the caller for a name that Tor refuses before it chooses a circuit, and nobody else for what comes later', () => {
    const codeOf = (stream: StreamReason) => (problemOfDial(new SocksReplyError(1), 'tor01', stream) as CbtorError).code
    for (const reason of ['TORPROTOCOL', 'SOCKS_PROTOCOL']) {
      assert.equal(codeOf({ ...none, reason }), 'host_invalid')
      assert.equal(codeOf(on(reason)), 'tor_failure')
    }
    assert.equal(codeOf({ ...none, reason: 'MISC' }), 'tor_failure')
  })

  it('says the code of a reply that it does not know', () => {
    const messageOf = (reply: number) => (problemOfDial(new SocksReplyError(reply), 'tor01') as CbtorError).message
    assert.match(messageOf(0xf8), /0xF8/)
    assert.match(messageOf(0xff), /0xFF/)
    assert.match(messageOf(0x07), /0x07/)
  })

  it('leaves what is not of the dial as it is', () => {
    const reason = new Error('the client left')
    assert.equal(problemOfDial(reason, 'tor01'), reason)
  })
})
