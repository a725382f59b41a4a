import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkAbsoluteForm, parseAuthority } from './request-target.ts'

describe('parseAuthority()', () => {
  it('takes a host and a port', () => {
    assert.deepEqual(parseAuthority('example.com:443'), { host: 'example.com', port: 443 })
    assert.deepEqual(parseAuthority('1.2.3.4:65535'), { host: '1.2.3.4', port: 65_535 })
    assert.deepEqual(parseAuthority('[2001:db8::1]:80'), { host: '2001:db8::1', port: 80 })
    assert.deepEqual(parseAuthority('EXAMPLE.com.:1'), { host: 'EXAMPLE.com.', port: 1 })
  })

  it('refuses everything else', () => {
    const hosts = [
      ...[
        '',
        ':',
        ':443',
        'h',
        'h:',
        'h:443/',
        'h:443 /x',
        'http://h:443',
        'u@h:443',
        'u:p@h:443',
        '[::1',
        '[::1]',
        '::1:443',
      ],
      ...[
        '[::1%lo]:80',
        '[1.2.3.4]:80',
        '[x]:80',
        '[]:80',
        'h:+80',
        'h:8a',
        'h:-1',
        'h:100000',
        'a b:80',
        'h\t:80',
        'h\u00e9:80',
        'h?:80',
        'h#:80',
        'h\\:80',
      ],
    ]
    for (const text of hosts) assert.throws(() => parseAuthority(text), { code: 'host_invalid' }, text)
    for (const text of ['h:0', 'h:00', 'h:65536', 'h:99999'])
      assert.throws(() => parseAuthority(text), { code: 'port_invalid' }, text)
  })
})

describe('checkAbsoluteForm()', () => {
  it('takes http URLs and says of the rest what would be right', () => {
    checkAbsoluteForm('http://example.com/')
    checkAbsoluteForm('HTTP://example.com')
    const cases = [
      ['*', 'method_not_allowed'],
      ['/', 'url_invalid'],
      ['/http://x/', 'url_invalid'],
      ['https://example.com/', 'use_connect'],
      ['HTTPS://example.com/', 'use_connect'],
      ['wss://example.com/', 'use_connect'],
      ['ftp://example.com/', 'scheme_not_allowed'],
      ['file:///etc/passwd', 'scheme_not_allowed'],
      ['example.com:80', 'scheme_not_allowed'],
      ['', 'scheme_not_allowed'],
    ] as const
    for (const [target, code] of cases) assert.throws(() => checkAbsoluteForm(target), { code }, target)
  })
})
