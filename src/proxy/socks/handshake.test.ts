import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ANYBODY } from '../../domain/caller.ts'
import type { AdmittedRouting } from '../routing.ts'
import { type Doorkeeper, SocksRefusal, type SocksRequest, serveHandshake } from './handshake.ts'

const DEFAULTS: AdmittedRouting = { isolation: 'destination', caller: ANYBODY }
const KEYED: AdmittedRouting = { ...DEFAULTS, mode: 'sticky', stickyKey: 'a' }

/** Greeting, user `key-a` with password `pw`, CONNECT example.com:443. */
const GREETING = '050102'
const AUTH = '0105 6b65792d61 02 7077'
const CONNECT = '05010003 0b 6578616d706c652e636f6d 01bb'
const NONE = '050100'

describe('serveHandshake()', () => {
  it('takes a client with user name and password', () => {
    assert.deepEqual(converse(GREETING + AUTH + CONNECT), {
      said: '0502 0100',
      request: { command: 'connect', host: 'example.com', port: 443, routing: KEYED },
    })
  })

  it('takes a client without, unless a password is asked for', () => {
    const { request, said } = converse(NONE + CONNECT)
    assert.deepEqual([said, request?.routing], ['0500', DEFAULTS])
    assertRefused(converse(NONE + CONNECT, { requiresPassword: true }), '05ff')
  })

  it('asks for the user name wherever it is offered, for it is who the client is', () => {
    for (const greeting of ['05020002', '05020200', '0503000102'])
      assert.equal(converse(greeting + AUTH + CONNECT).request?.routing, KEYED)
  })

  it('takes names, IPv4 and IPv6, and Tor’s RESOLVE', () => {
    const requestOf = (request: string) => converse(NONE + request).request
    assert.deepEqual(requestOf('05010001 01020304 0050'), want('connect', '1.2.3.4', 80))
    assert.deepEqual(requestOf('05010004 20010db8000000000000000000000001 0050'), want('connect', '2001:db8::1', 80))
    assert.deepEqual(requestOf('05f00003 04 612e6265 0000'), want('resolve', 'a.be', 0))
    // What is in no spelling a name, is for the target policy to say.
    assert.deepEqual(requestOf('05010003 03 3a3a31 0050'), want('connect', '::1', 80))
  })

  it('refuses what is not SOCKS5, with the fixed answer or none', () => {
    const cases = [
      ['another protocol', '47', undefined],
      ['TLS', '16', undefined],
      ['SOCKS6', '06', undefined],
      ['SOCKS4', '04', '005b000000000000'],
      ['no method', '0500', '05ff'],
      ['methods that nobody knows', '05020380', '05ff'],
      ['GSSAPI', '050101', '05ff'],
      ['another version of authentication', `${GREETING}0505`, '0101'],
      ['an empty user name', `${GREETING}0100`, '0101'],
      ['an empty password', `${GREETING}0105 6b65792d61 00`, '0101'],
      ['a wrong password', `${GREETING}0105 6b65792d61 02 7076`, '0101'],
      ['a user name that says nothing', `${GREETING}0105 616c696365 02 7077`, '0101'],
      ['a request of another version', `${NONE}04010001`, '05010001000000000000'],
      ['a reserved octet', `${NONE}05010101`, '05010001000000000000'],
      ['BIND', `${NONE}05020001`, '05070001000000000000'],
      ['UDP ASSOCIATE', `${NONE}05030001`, '05070001000000000000'],
      ['RESOLVE_PTR', `${NONE}05f10001`, '05070001000000000000'],
      ['command 0', `${NONE}05000001`, '05070001000000000000'],
      ['address type 0', `${NONE}05010000`, '05080001000000000000'],
      ['address type 2', `${NONE}05010002`, '05080001000000000000'],
      ['an empty name', `${NONE}0501000300`, '05010001000000000000'],
      ['a name with a blank', `${NONE}0501000302 6120`, '05010001000000000000'],
      ['a name with a NUL', `${NONE}0501000302 6100`, '05010001000000000000'],
      ['a name that is not ASCII', `${NONE}0501000302 c3a9`, '05010001000000000000'],
    ] as const
    for (const [name, bytes, answer] of cases) assertRefused(converse(bytes), answer, name)
  })

  it('says the same of a wrong password and of a bad user name', () => {
    const wrong = converse(`${GREETING}0105 6b65792d61 02 7076`)
    const bad = converse(`${GREETING}0105 616c696365 02 7077`)
    assert.equal(wrong.refusal?.message, bad.refusal?.message)
  })

  it('asks for no byte more than it needs', () => {
    const bytes = Buffer.from((GREETING + AUTH + CONNECT).replace(/\s/g, ''), 'hex')
    for (let length = 0; length < bytes.length; length++) {
      const { request, refusal, missing } = converse(bytes.subarray(0, length).toString('hex'))
      assert.deepEqual([request, refusal], [undefined, undefined])
      assert.ok(missing > 0 && missing <= bytes.length - length)
    }
  })

  it('is total: whatever comes, it asks for at most 255 bytes at a time, returns or refuses', () => {
    const good = [GREETING, AUTH, CONNECT, NONE, '05f00003', '0100', '05ff'].map((hex) =>
      Buffer.from(hex.replace(/\s/g, ''), 'hex'),
    )
    const piece = fc.oneof(
      fc.constantFrom(...good),
      fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    )
    const mutation = fc.record({ at: fc.nat(60), value: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), fc.array(mutation, { maxLength: 2 }), (pieces, mutations) => {
        const bytes = Buffer.concat(pieces)
        for (const { at, value } of mutations) if (at < bytes.length) bytes[at] = value
        const { request } = converse(bytes.toString('hex'))
        if (request) assert.match(request.host, /^[\x21-\x7e]{1,255}$/)
      }),
      { numRuns: 50_000 },
    )
  })
})

function want(command: SocksRequest['command'], host: string, port: number): SocksRequest {
  return { command, host, port, routing: DEFAULTS }
}

interface Conversation {
  /** All that was written, in hexadecimal, with a blank between writes. */
  readonly said: string
  readonly request?: SocksRequest
  readonly refusal?: SocksRefusal
  /** How many bytes it still waited for when there were none any more. */
  readonly missing: number
}

function converse(hex: string, { requiresPassword = false } = {}): Partial<Conversation> & { missing: number } {
  let bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex')
  const door: Doorkeeper = {
    requiresPassword,
    withoutCredentials: () => DEFAULTS,
    withCredentials(userName, password) {
      if (userName !== 'key-a' || password !== 'pw') throw new Error('no')
      return KEYED
    },
  }
  const said: string[] = []
  try {
    const handshake = serveHandshake(door)
    let next = handshake.next()
    while (!next.done) {
      if (next.value.type === 'write') {
        said.push(next.value.bytes.toString('hex'))
        next = handshake.next()
        continue
      }
      const { count } = next.value
      assert.ok(count >= 1 && count <= 255)
      if (bytes.length < count) return { said: said.join(' '), missing: count - bytes.length }
      const taken = bytes.subarray(0, count)
      bytes = bytes.subarray(count)
      next = handshake.next(taken)
    }
    return { said: said.join(' '), request: next.value } as Conversation
  } catch (refusal) {
    assert.ok(refusal instanceof SocksRefusal, String(refusal))
    return { said: said.join(' '), refusal, missing: 0 }
  }
}

function assertRefused({ refusal, request }: Partial<Conversation>, answer: string | undefined, name?: string): void {
  assert.ok(refusal, name)
  assert.equal(request, undefined, name)
  assert.equal(refusal.answer?.toString('hex'), answer, name)
}
