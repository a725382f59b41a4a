import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeAnswer, parseQuery, RCODE } from './dns-message.ts'

// id 1234, recursion desired, one question: "wWw.cbtor.test" A IN
const QUERY = hex('1234 0100 0001 0000 0000 0000  03 775777 05 6362746f72 04 74657374 00  0001 0001')

describe('parseQuery()', () => {
  it('reads a query and keeps the case of its name', () => {
    const query = parseQuery(QUERY)
    assert.equal(query?.id, 0x1234)
    assert.equal(query?.name, 'wWw.cbtor.test')
    assert.equal(query?.type, 1)
    assert.equal(query?.recursionDesired, true)
  })

  it('ignores what follows the question, such as EDNS', () => {
    const withEdns = Buffer.concat([QUERY, hex('00 0029 1000 00000000 0000')])
    assert.equal(parseQuery(withEdns)?.question.length, QUERY.length - 12)
  })

  it('has no answer for anything cut off', () => {
    for (let length = 0; length < QUERY.length; length++) {
      assert.equal(parseQuery(QUERY.subarray(0, length)), undefined, `${length} bytes`)
    }
  })

  it('has no answer for responses, other opcodes, other numbers of questions and compressed names', () => {
    const broken = (at: number, value: number) => {
      const copy = Buffer.from(QUERY)
      copy[at] = value
      return copy
    }
    assert.equal(parseQuery(broken(2, 0x81)), undefined)
    assert.equal(parseQuery(broken(2, 0x29)), undefined)
    assert.equal(parseQuery(broken(5, 2)), undefined)
    assert.equal(parseQuery(broken(5, 0)), undefined)
    assert.equal(parseQuery(broken(12, 0xc0)), undefined)
  })

  it('never throws, whatever comes in', () => {
    const header = fc.constant(hex('1234 0100 0001 0000 0000 0000'))
    const message = fc.tuple(header, fc.uint8Array({ maxLength: 600 })).map((parts) => Buffer.concat(parts))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), message), (bytes) => {
        const query = parseQuery(bytes)
        if (query) assert.ok(query.name.length <= 255 && query.question.length <= bytes.length - 12)
      }),
    )
  })
})

describe('encodeAnswer()', () => {
  it('echoes the question and adds an A record', () => {
    const query = parseQuery(QUERY)
    assert.ok(query)
    const expected = Buffer.concat([
      hex('1234 8580 0001 0001 0000 0000'),
      QUERY.subarray(12),
      hex('c00c 0001 0001 0000003c 0004 c6336478'),
    ])
    assert.deepEqual(encodeAnswer(query, RCODE.ok, ['198.51.100.120']), expected)
  })

  it('can say that there is no such name', () => {
    const query = parseQuery(QUERY)
    assert.ok(query)
    const answer = encodeAnswer(query, RCODE.nameError, [])
    assert.deepEqual(answer, Buffer.concat([hex('1234 8583 0001 0000 0000 0000'), QUERY.subarray(12)]))
  })
})

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}
