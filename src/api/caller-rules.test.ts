import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AllowedHosts, checkCaller, checkMediaType } from './caller-rules.ts'

describe('checkCaller()', () => {
  const hosts = new AllowedHosts(['Tor.example.org'])
  hosts.addLoopback(32_211, '127.0.0.1')

  it('takes the loopback names with the port, and hosts that were configured', () => {
    for (const host of ['127.0.0.1:32211', 'localhost:32211', 'LOCALHOST:32211', '[::1]:32211', 'tor.example.org']) {
      checkCaller({ host }, hosts)
    }
  })

  it('refuses every other host', () => {
    const others = [
      'evil.test',
      '127.0.0.1',
      'localhost:80',
      'localhost:32211.evil.test',
      'tor.example.org:8443',
      '',
      '\r\n',
    ]
    for (const host of others) assert.throws(() => checkCaller({ host }, hosts), { code: 'host_not_allowed' }, host)
    assert.throws(() => checkCaller({}, hosts), { code: 'host_not_allowed' })
  })

  it('takes a configured name without a port, and with the port that is listened on or a default one', () => {
    const named = new AllowedHosts(['cbtor.lan', 'other.lan:8443'])
    named.addLoopback(32_211, '192.0.2.7')
    for (const host of ['cbtor.lan', 'CBTOR.lan:32211', 'cbtor.lan:443', 'other.lan:8443', '192.0.2.7:32211'])
      checkCaller({ host }, named)
    for (const host of ['cbtor.lan:8443', 'other.lan', 'other.lan:32211', '192.0.2.7'])
      assert.throws(() => checkCaller({ host }, named), { code: 'host_not_allowed' }, host)
  })

  it('takes the very address at which the connection has arrived', () => {
    const everywhere = new AllowedHosts()
    everywhere.addLoopback(32_211, '0.0.0.0')
    const at = { localAddress: '::ffff:192.0.2.7', localPort: 32_211 }
    checkCaller({ host: '192.0.2.7:32211' }, everywhere, at)
    checkCaller({ host: '[2001:db8::1]:32211' }, everywhere, { localAddress: '2001:db8::1', localPort: 32_211 })
    checkCaller({ host: '192.0.2.7' }, everywhere, { ...at, localPort: 443 })
    for (const host of ['192.0.2.8:32211', '192.0.2.7', '192.0.2.7.evil.test:32211'])
      assert.throws(() => checkCaller({ host }, everywhere, at), { code: 'host_not_allowed' }, host)
  })

  it('takes no request of which the browser says that a page of another site asks', () => {
    const host = 'localhost:32211'
    for (const site of ['same-origin', 'none']) checkCaller({ host, 'sec-fetch-site': site }, hosts)
    for (const site of ['cross-site', 'same-site', 'something-new', ''])
      assert.throws(() => checkCaller({ host, 'sec-fetch-site': site }, hosts), { code: 'origin_not_allowed' }, site)
  })

  it('takes loopback names without a port when that is the default one', () => {
    const onDefaultPort = new AllowedHosts()
    onDefaultPort.addLoopback(80, '127.0.0.2')
    checkCaller({ host: 'localhost' }, onDefaultPort)
    checkCaller({ host: '127.0.0.2' }, onDefaultPort)
  })

  it('takes no origin but the host itself', () => {
    const host = 'localhost:32211'
    checkCaller({ host, origin: 'http://localhost:32211' }, hosts)
    checkCaller({ host: 'tor.example.org', origin: 'https://tor.example.org' }, hosts)
    for (const origin of [
      'https://evil.test',
      'null',
      '',
      'http://127.0.0.1:32211',
      'http://localhost',
      `file://${host}`,
    ]) {
      assert.throws(() => checkCaller({ host, origin }, hosts), { code: 'origin_not_allowed' }, origin)
    }
  })
})

describe('checkMediaType()', () => {
  it('takes JSON in UTF-8 and requests without a body', () => {
    const taken = ['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"']
    for (const type of taken) checkMediaType({ 'content-type': type, 'content-encoding': 'identity' })
    checkMediaType({})
  })

  it('refuses every other type, charset and coding', () => {
    const refused = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      'application/json; charset=utf-16',
      'application/json; charset=utf-8; charset=utf-16',
      'application/jsonp',
      '',
    ]
    for (const type of refused) {
      assert.throws(() => checkMediaType({ 'content-type': type }), { code: 'unsupported_media_type' }, type)
    }
    assert.throws(() => checkMediaType({ 'content-encoding': 'gzip' }), { code: 'unsupported_media_type' })
  })
})
