import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import { DEFAULT_HEADERS, endToEndHeaders, type HeaderList, requestHeaders } from './headers.ts'

describe('requestHeaders()', () => {
  it('sends the neutral set when the caller gives nothing', () => {
    assert.deepEqual(requestHeaders([]), DEFAULT_HEADERS)
    assert.doesNotMatch(JSON.stringify(DEFAULT_HEADERS), /node|undici|cbtor/i)
  })

  it("puts the caller's values in the place of the defaults, and the others behind", () => {
    const headers = requestHeaders([
      ['X-Trace', '1'],
      ['Accept', 'text/plain'],
      ['accept', 'text/html'],
      ['User-Agent', ''],
    ])
    assert.deepEqual(headers, [
      ['user-agent', ''],
      ['accept', 'text/plain'],
      ['accept', 'text/html'],
      ['accept-language', 'en-US,en;q=0.5'],
      ['accept-encoding', 'gzip, deflate, br, zstd'],
      ['x-trace', '1'],
    ])
  })

  it('leaves out what the caller does not want, and says so when that is not sent anyway', () => {
    assert.deepEqual(requestHeaders([['x-a', '1']], ['User-Agent', 'accept-encoding', 'accept-language']), [
      ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
      ['x-a', '1'],
    ])
    assert.throws(() => requestHeaders([], ['x-a']), { code: 'header_invalid' })
  })

  it('asks for a part of a body uncoded, unless the caller says otherwise', () => {
    const coding = (given: HeaderList) => requestHeaders(given).filter(([name]) => name === 'accept-encoding')
    assert.deepEqual(coding([['Range', 'bytes=0-9']]), [['accept-encoding', 'identity']])
    const own = [
      ['Accept-Encoding', 'br'],
      ['range', 'bytes=0-9'],
    ] as const
    assert.deepEqual(coding(own), [['accept-encoding', 'br']])
  })

  it('refuses headers that are ours to set or that tell of the client', () => {
    const forbidden = [
      ...['Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade', 'Proxy-Authorization', 'proxy-x'],
      ...['TE', 'Trailer', 'Keep-Alive', 'Expect', 'X-Forwarded-For', 'x-forwarded-host', 'Via', 'Forwarded'],
      ...['X-Real-IP', 'Client-IP', 'True-Client-IP', 'X-Tor-Stream-Isolation', 'Tor-Stream-Isolation', 'X-CBTOR-Key'],
      ...['X-Client-IP', 'X-Originating-IP', 'X_Forwarded_For', 'X-Forwarded'],
    ]
    for (const name of forbidden) assertRefused([[name, 'x']], 'header_forbidden')
  })

  it('refuses names that are no tokens and values that would end the line', () => {
    for (const name of ['', 'a b', 'a:', 'a\r', ' a', 'é', 'a\0']) assertRefused([[name, 'x']], 'header_invalid')
    for (const value of ['a\r\nb: c', '\n', '\0', '\u{1f600}', '\x7f']) assertRefused([['a', value]], 'header_invalid')
  })

  it('bounds their number, the size of each and the size of all', () => {
    const fill = (count: number, bytes: number): HeaderList =>
      Array.from({ length: count }, (_, i) => [`h${i % 10}`, 'v'.repeat(bytes - 2)])
    assert.equal(requestHeaders(fill(64, 512)).length, 64 + DEFAULT_HEADERS.length)
    assert.equal(requestHeaders(fill(2, 16 * 1024)).length, 2 + DEFAULT_HEADERS.length)
    assertRefused(fill(65, 10), 'headers_too_large')
    assertRefused(fill(1, 16 * 1024 + 1), 'headers_too_large')
    assertRefused(fill(33, 1024), 'headers_too_large')
  })

  it('never shows a value in an error', () => {
    assert.throws(
      () => requestHeaders([['authorization', 'hunter2\n']]),
      (error: Error) => !error.message.includes('hunter'),
    )
  })

  it('gives a list that can be written on the wire, or a CbtorError, for any input', () => {
    const text = fc.string({ unit: 'binary', maxLength: 5 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (given) => {
        try {
          for (const [name, value] of requestHeaders(given))
            assert.match(`${name}: ${value}`, /^[!-~]+: [\t\x20-\x7e\x80-\xff]*$/)
        } catch (error) {
          assert.ok(error instanceof CbtorError, String(error))
        }
      }),
    )
  })

  function assertRefused(given: HeaderList, code: string) {
    assert.throws(() => requestHeaders(given), { name: 'CbtorError', code }, JSON.stringify(given).slice(0, 80))
  }
})

describe('endToEndHeaders()', () => {
  it('drops what concerns the connection, by its own name or named by Connection', () => {
    const received: HeaderList = [
      ['connection', 'close, X-Hop'],
      ['x-hop', '1'],
      ['keep-alive', 'timeout=5'],
      ['transfer-encoding', 'chunked'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-cbtor-worker', 'forged'],
    ]
    assert.deepEqual(endToEndHeaders(received), [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-cbtor-worker', 'forged'],
    ])
  })
})
