import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FOREIGN_BODY_HEADERS, mayComeThrough } from './foreign-body.ts'

describe("a target's bytes in an answer of ours", () => {
  it('are neither shown nor run by a browser', () => {
    assert.match(FOREIGN_BODY_HEADERS['content-security-policy'], /^sandbox; default-src 'none'/)
    assert.equal(FOREIGN_BODY_HEADERS['content-disposition'], 'attachment')
    assert.equal(FOREIGN_BODY_HEADERS['x-content-type-options'], 'nosniff')
  })

  it('bring no header that would speak for our origin or our connection', () => {
    for (const name of [
      'Set-Cookie',
      'access-control-allow-origin',
      'Content-Security-Policy',
      'Clear-Site-Data',
      'CBTOR-Worker',
      'Transfer-Encoding',
      'Cross-Origin-Opener-Policy',
    ])
      assert.equal(mayComeThrough(name), false, name)
    for (const name of ['Content-Type', 'ETag', 'Last-Modified', 'X-Mine', 'Content-Language', 'Date'])
      assert.equal(mayComeThrough(name), true, name)
  })
})
