import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseListenAddress, showListenAddress, staysOnMachine } from './address.ts'

describe('an address to listen on', () => {
  it('is an IP address and a port, or the path of a socket', () => {
    const cases: [string, ReturnType<typeof parseListenAddress>, isOfThisMachine: boolean][] = [
      ['127.0.0.1:32211', { host: '127.0.0.1', port: 32_211 }, true],
      ['32211', { host: '127.0.0.1', port: 32_211 }, true],
      ['LocalHost:0', { host: '127.0.0.1', port: 0 }, true],
      ['[::1]:65535', { host: '::1', port: 65_535 }, true],
      ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }, false],
      ['[::]:80', { host: '::', port: 80 }, false],
      ['192.0.2.7:80', { host: '192.0.2.7', port: 80 }, false],
      ['unix:/run/cbtor/a b.sock', { path: '/run/cbtor/a b.sock' }, true],
    ]
    for (const [text, expected, isOfThisMachine] of cases) {
      const address = parseListenAddress(text)
      assert.deepEqual(address, expected, text)
      assert.ok(typeof address === 'object')
      assert.equal(staysOnMachine(address), isOfThisMachine, text)
      assert.deepEqual(parseListenAddress(showListenAddress(address)), address)
    }
  })

  it('is nothing else', () => {
    const others = [
      '',
      'nowhere',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:65536',
      '127.0.0.1:-1',
      '::1:80',
      'unix:',
      'unix:a',
    ]
    for (const text of [
      ...others,
      '/run/a',
      'http://127.0.0.1:80',
      '127.1:80',
      '[127.0.0.1]:80',
      '0x7f.1:80',
      'a.test:80',
    ])
      assert.equal(typeof parseListenAddress(text), 'string', text)
    assert.match(String(parseListenAddress('a.test:80')), /would have to be looked up/)
    assert.match(String(parseListenAddress('[fe80::1%eth0]:80')), /without a zone/)
  })
})
