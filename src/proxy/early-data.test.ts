import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { safeLength } from './early-data.ts'

const HEAD = 'GET /x?y HTTP/1.1\r\nHost: example.com\r\n\r\n'

describe('safeLength()', () => {
  it('takes the records of a TLS handshake, and nothing behind them', () => {
    const hello = record(0x16, 300)
    assert.equal(safeLength(hello), hello.length)
    assert.equal(safeLength(hello.subarray(0, 100)), 100)
    assert.equal(safeLength(Buffer.concat([hello, record(0x16, 20)])), hello.length + 25)
    // A change of cipher, and TLS 1.3's own early data, which a target may act on.
    assert.equal(safeLength(Buffer.concat([hello, record(0x14, 1), record(0x17, 50)])), hello.length)
    assert.equal(safeLength(Buffer.concat([record(0x16, 16_000), record(0x16, 16_000)])), 16 * 1024)
    assert.equal(safeLength(Buffer.from([0x16, 0x03])), 0)
  })

  it('takes the head of one request that changes nothing', () => {
    assert.equal(safeLength(Buffer.from(HEAD)), HEAD.length)
    assert.equal(safeLength(Buffer.from(HEAD.slice(0, 25))), 25)
    assert.equal(safeLength(Buffer.from(`${HEAD}POST / HTTP/1.1\r\n\r\n`)), HEAD.length)
    assert.equal(safeLength(Buffer.from(`${HEAD}body`)), HEAD.length)
    for (const method of ['HEAD', 'OPTIONS']) {
      const head = HEAD.replace('GET', method)
      assert.equal(safeLength(Buffer.from(head)), head.length)
    }
  })

  it('takes nothing else', () => {
    const others = [
      ...[
        '',
        'POST / HTTP/1.1\r\n\r\n',
        'PUT / HTTP/1.1\r\n\r\n',
        'DELETE / HTTP/1.1\r\n',
        'PRI * HTTP/2.0\r\n\r\n',
        'get / HTTP/1.1\r\n',
      ],
      ...[
        'GET / HTTP/1.1',
        'GET',
        'GETS / HTTP/1.1\r\n',
        'GET /a b HTTP/1.1\r\n',
        'GET / HTTP/2.0\r\n',
        'SSH-2.0-x\r\n',
        'EHLO x\r\n',
      ],
      ...['\x16\x02\x01', '\x17\x03\x03\x00\x01x', '\x00', ' GET / HTTP/1.1\r\n'],
    ]
    for (const text of others) assert.equal(safeLength(Buffer.from(text, 'latin1')), 0, text)
  })

  it('never takes more than there is, or than is worth it', () => {
    const start = fc.constantFrom(Buffer.alloc(0), Buffer.from([0x16, 3, 1]), Buffer.from('GET / HTTP/1.1\r\n'))
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300, size: 'max' }), fc.nat(100), (head, rest, copies) => {
        const bytes = Buffer.concat([head, ...Array.from({ length: copies + 1 }, () => Buffer.from(rest))])
        const length = safeLength(bytes)
        assert.ok(length >= 0 && length <= Math.min(bytes.length, 16 * 1024))
        assert.ok(length === 0 || bytes[0] === 0x16 || bytes[0] === 0x47)
      }),
      { numRuns: 2_000 },
    )
  })
})

function record(type: number, length: number): Buffer {
  return Buffer.from([type, 3, 1, length >> 8, length & 0xff, ...Array<number>(length).fill(7)])
}
