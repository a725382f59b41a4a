import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeBody } from './answer-body.ts'

const utf8 = (text: string) => Buffer.from(text)

describe('encodeBody()', () => {
  it('writes textual types as text, in the charset that the type names', () => {
    const cases: [string | undefined, Buffer, string][] = [
      ['text/html', utf8('<p>é</p>'), '<p>é</p>'],
      ['application/json; charset=utf-8', utf8('{"a":1}'), '{"a":1}'],
      ['Application/LD+JSON', utf8('{}'), '{}'],
      ['image/svg+xml', utf8('<svg/>'), '<svg/>'],
      ['text/plain; charset="ISO-8859-1"', Buffer.from([0xe9]), 'é'],
      ['text/plain;format=flowed;charset=shift_jis', Buffer.from([0x83, 0x65]), 'テ'],
      [undefined, utf8('no type'), 'no type'],
      ['text/plain', Buffer.alloc(0), ''],
    ]
    for (const [type, bytes, body] of cases) {
      assert.deepEqual(encodeBody(bytes, type, 'auto'), { body, body_encoding: 'text' }, type)
    }
  })

  it('writes everything as base64 that text would not keep', () => {
    const cases: [string | undefined, Buffer][] = [
      ['image/png', utf8('png')],
      ['application/octet-stream', utf8('plain enough')],
      ['text/html', Buffer.from([0xe9])],
      ['text/html; charset=no-such-charset', utf8('a')],
      ['', utf8('a')],
      [undefined, Buffer.from([0xff, 0x00])],
    ]
    for (const [type, bytes] of cases) {
      assert.deepEqual(
        encodeBody(bytes, type, 'auto'),
        { body: bytes.toString('base64'), body_encoding: 'base64' },
        type,
      )
    }
  })

  it('does as it is told otherwise', () => {
    assert.deepEqual(encodeBody(utf8('a'), 'text/plain', 'base64'), { body: 'YQ==', body_encoding: 'base64' })
    assert.deepEqual(encodeBody(Buffer.from([0x61, 0xff]), 'image/png', 'text'), {
      body: 'a\ufffd',
      body_encoding: 'text',
    })
    assert.equal(encodeBody(utf8('é'), 'text/plain; charset=no-such-charset', 'text').body, 'é')
  })

  it('loses no byte in base64, also of a view into a larger buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const view = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]).subarray(6, 6 + bytes.length)
        assert.deepEqual(Buffer.from(encodeBody(view, 'image/png', 'auto').body, 'base64'), Buffer.from(bytes))
      }),
    )
  })
})
