import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type LocalReceiver, localTargetOf, parseLocalReceiver } from './local-receivers.ts'

describe('parseLocalReceiver()', () => {
  it('reads an address or a network of one’s own, with a port', () => {
    assert.deepEqual(parseLocalReceiver('127.0.0.1:9000'), { address: '127.0.0.1', prefix: 32, family: 4, port: 9000 })
    assert.deepEqual(parseLocalReceiver('10.1.0.0/16:80'), { address: '10.1.0.0', prefix: 16, family: 4, port: 80 })
    assert.deepEqual(parseLocalReceiver('[fd00::/8]:9000'), { address: 'fd00::', prefix: 8, family: 6, port: 9000 })
    assert.deepEqual(parseLocalReceiver('[::1]:1'), { address: '::1', prefix: 128, family: 6, port: 1 })
  })

  it('refuses names, public addresses, networks that are more than local, and what has no port', () => {
    for (const text of [
      ...[
        '',
        'localhost:9000',
        '127.0.0.1',
        '127.0.0.1:0',
        '127.0.0.1:65536',
        '127.0.0.1/8',
        '::1:9000',
        '[127.0.0.1]:80',
      ],
      ...[
        '8.8.8.8:80',
        '0.0.0.0/0:80',
        '0.0.0.0:80',
        '10.0.0.0/7:80',
        '126.0.0.0/7:80',
        '224.0.0.1:80',
        '255.255.255.255:80',
      ],
      ...['169.254.169.254:80', '[fe80::1]:80', '[::]:80', '[::/0]:80', '[2001:db8::1]:80', '[::ffff:127.0.0.1]:80'],
      ...['[fe80::1%lo]:80', '127.0.0.1/33:80', '2130706433:80', '127.1:80', '127.0.0.1:80 '],
    ])
      assert.equal(parseLocalReceiver(text), undefined, text)
  })
})

describe('localTargetOf()', () => {
  const allowed = ['127.0.0.1:9000', '10.1.0.0/16:8080', '[fd00::/8]:9000'].map(parseLocalReceiver) as LocalReceiver[]

  it('finds where a listed URL leads', () => {
    assert.deepEqual(localTargetOf('http://127.0.0.1:9000/a?b#c', allowed), {
      host: '127.0.0.1',
      port: 9000,
      path: '/a?b',
    })
    assert.deepEqual(localTargetOf('http://10.1.255.1:8080', allowed), { host: '10.1.255.1', port: 8080, path: '/' })
    assert.deepEqual(localTargetOf('http://[fd12::1]:9000/', allowed), { host: 'fd12::1', port: 9000, path: '/' })
  })

  it('finds nothing for any other address, port, scheme or name', () => {
    for (const url of [
      ...['http://127.0.0.1:9001/', 'http://127.0.0.2:9000/', 'https://127.0.0.1:9000/', 'http://localhost:9000/'],
      ...[
        'http://10.2.0.1:8080/',
        'http://[::ffff:127.0.0.1]:9000/',
        'http://u:p@127.0.0.1:9000/',
        'nonsense',
        'http://127.0.0.1/',
      ],
    ])
      assert.equal(localTargetOf(url, allowed), undefined, url)
  })
})
