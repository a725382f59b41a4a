import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answeredHeaders, forwardedHeaders, type HeaderList, headerList } from './headers.ts'

const names = (headers: HeaderList) => headers.map(([name]) => name)
const listOf = (text: string): HeaderList => text.split(' ').map((name) => [name, 'x'])

describe('forwardedHeaders()', () => {
  it('keeps what is for the target, in its order and case', () => {
    const kept =
      'User-Agent accept ACCEPT-Language Cookie Cookie Authorization X-Custom Referer Content-Length Content-Type Range'
    assert.deepEqual(names(forwardedHeaders(listOf(kept))), kept.split(' '))
  })

  it('drops what is of the connection', () => {
    const dropped =
      'Host Connection Keep-Alive Proxy-Authorization Proxy-Connection proxy-anything TE Trailer Transfer-Encoding Upgrade HTTP2-Settings Expect Max-Forwards'
    assert.deepEqual(names(forwardedHeaders(listOf(dropped))), [])
  })

  it('drops what tells of the client or is meant for a proxy', () => {
    const dropped =
      'X-Forwarded-For x-forwarded-host X-FORWARDED-PROTO X-Forwarded Forwarded Forwarded-For Via X-Real-IP Client-IP X-Client-IP True-Client-IP X-Cluster-Client-IP X-Originating-IP X-Remote-Addr Tor-Stream-Isolation X-Tor-Stream-Isolation X-Tor-Anything X-CBTOR-Key X_Forwarded_For CF-Connecting-IP'
    assert.deepEqual(names(forwardedHeaders(listOf(dropped))), [])
  })

  it('drops what Connection names, but never what says how long a body is', () => {
    const headers: HeaderList = [
      ['Connection', 'close, X-Hop , x-other'],
      ['Proxy-Connection', 'X-Third, Content-Length'],
      ...listOf('X-Hop X-OTHER x-third X-Mine Content-Length'),
    ]
    assert.deepEqual(names(forwardedHeaders(headers)), ['X-Mine', 'Content-Length'])
  })
})

describe('answeredHeaders()', () => {
  it('keeps what is for the client, and drops what is of the connection or only ours to say', () => {
    const kept =
      'Date server Set-Cookie Set-Cookie Content-Length Content-Encoding Via X-Forwarded-For WWW-Authenticate'
    const dropped =
      'Connection Keep-Alive Transfer-Encoding TE Trailer Upgrade Proxy-Authenticate Proxy-Status X-CBTOR-Error CBTOR-Error'
    assert.deepEqual(names(answeredHeaders([...listOf(kept), ...listOf(dropped)])), kept.split(' '))
    assert.deepEqual(names(answeredHeaders([['connection', 'x-a'], ...listOf('X-A X-B')])), ['X-B'])
  })
})

describe('headerList()', () => {
  it('pairs what Node has in turn', () => {
    assert.deepEqual(headerList([]), [])
    assert.deepEqual(headerList(['A', '1', 'a', '2']), [
      ['A', '1'],
      ['a', '2'],
    ])
  })
})
