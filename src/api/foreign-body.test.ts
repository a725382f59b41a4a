import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FOREIGN_BODY_HEADERS, foreignHeaderName } from './foreign-body.ts'

describe("a target's bytes in an answer of ours", () => {
  it('are neither shown nor run by a browser', () => {
    assert.match(FOREIGN_BODY_HEADERS['content-security-policy'], /^sandbox; default-src 'none'/)
    assert.equal(FOREIGN_BODY_HEADERS['content-disposition'], 'attachment')
    assert.equal(FOREIGN_BODY_HEADERS['x-content-type-options'], 'nosniff')
  })

  it('bring no header that would speak for our origin or our connection, or lead a client around Tor', () => {
    for (const name of [
      ...[
        'Set-Cookie',
        'access-control-allow-origin',
        'Content-Security-Policy',
        'Clear-Site-Data',
        'Location',
        'Link',
      ],
      ...['Refresh', 'Alt-Svc', 'Strict-Transport-Security', 'WWW-Authenticate', 'Cache-Control', 'Accept-CH', 'NEL'],
      ...['Service-Worker-Allowed', 'SourceMap', 'Cross-Origin-Opener-Policy', 'Content-Length', 'X-Of-Next-Year'],
    ])
      assert.equal(foreignHeaderName(name), `cbtor-target-${name.toLowerCase()}`)
    for (const name of ['Content-Type', 'ETag', 'Last-Modified', 'Content-Language', 'Content-Encoding', 'Retry-After'])
      assert.equal(foreignHeaderName(name), name.toLowerCase())
    assert.equal(foreignHeaderName('CBTOR-Worker'), undefined)
    assert.equal(foreignHeaderName('cbtor-target-location'), undefined)
  })
})
