import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tellsOfClient } from './telling-header.ts'

describe('tellsOfClient()', () => {
  it('knows what proxies say of clients, however it is spelled', () => {
    const telling =
      'X-Forwarded-For x_forwarded_for X-Forwarded Forwarded Forwarded-For Via X-Real-IP X_Real_IP Client-IP X-Client-IP True-Client-IP Fastly-Client-IP X-Cluster-Client-IP WL-Proxy-Client-IP X-Originating-IP X-Remote-Addr X-ProxyUser-Ip CF-Connecting-IP CF-Connecting-IPv6 X-Original-Forwarded-For Tor-Stream-Isolation X-Tor-Anything X-CBTOR-Key CBTOR-Key traceparent tracestate Baggage'
    assert.deepEqual(
      telling.split(' ').filter((name) => !tellsOfClient(name)),
      [],
    )
  })

  it('lets be what is for the target', () => {
    const others =
      'User-Agent Referer Origin Cookie X-Requested-With X-CSRF-Token X-Custom X-Viable Forward Client X-Torrent'
    assert.deepEqual(others.split(' ').filter(tellsOfClient), [])
  })
})
