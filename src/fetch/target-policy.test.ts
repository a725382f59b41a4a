import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { RESERVED_ADDRESSES } from './reserved-addresses.ts'
import { createTargetPolicy, type TargetPolicy } from './target-policy.ts'

const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'
const policy = createTargetPolicy()

describe('checkUrl()', () => {
  it('lets the web through, normalised', () => {
    const cases: [url: string, host: string, port: number, normalised?: string][] = [
      ['http://example.com', 'example.com', 80, 'http://example.com/'],
      ['https://example.com/a?b#c', 'example.com', 443],
      ['HTTPS://EXAMPLE.com:8443/', 'example.com', 8443, 'https://example.com:8443/'],
      ['http://example.com.', 'example.com', 80, 'http://example.com/'],
      ['https://example.com.:444/x', 'example.com', 444, 'https://example.com:444/x'],
      ['http://example.com:/', 'example.com', 80, 'http://example.com/'],
      ['http://example.com:080/', 'example.com', 80, 'http://example.com/'],
      ['http://bücher.example/', 'xn--bcher-kva.example', 80],
      ['http://93.184.216.34/', '93.184.216.34', 80],
      ['http://93.184.216.34./', '93.184.216.34', 80],
      ['http://[2606:2800:220:1::1]:81/', '2606:2800:220:1::1', 81],
      ['http://a.test/%20?q=%00', 'a.test', 80],
      ['http://a.test/user@host:22/', 'a.test', 80],
      [`http://${'a.'.repeat(126)}a/`, `${'a.'.repeat(126)}a`, 80],
      [`http://${'a'.repeat(63)}.test/`, `${'a'.repeat(63)}.test`, 80],
      [`http://a.test/${'x'.repeat(8 * 1024 - 14)}`, 'a.test', 80],
    ]
    for (const [url, host, port, normalised] of cases) {
      const checked = policy.checkUrl(url)
      assert.deepEqual(checked.target, { host, port }, url)
      assert.equal(checked.isOnion, false, url)
      if (normalised !== undefined) assert.equal(checked.url.href, normalised)
    }
  })

  it('takes onion addresses in every spelling that means them', () => {
    const spellings = [ONION, `${ONION}.`, ONION.toUpperCase(), `${ONION.toUpperCase()}.`, ONION.replace('.', '。')]
    for (const host of [...spellings, ONION.replace('.', '%2e')]) {
      const checked = policy.checkUrl(`http://${host}/`)
      assert.deepEqual(checked.target, { host: ONION, port: 80 }, host)
      assert.equal(checked.url.href, `http://${ONION}/`)
      assert.equal(checked.isOnion, true)
    }
    assert.equal(policy.checkUrl(`https://www.${ONION}/`).target.host, `www.${ONION}`)
  })

  it('takes what only looks like an onion address for the clearnet that it is', () => {
    for (const host of ['x.onion.evil.test', 'foo.onion%2eevil.test', 'foo.onion。evil.test', `${ONION}.evil.test`]) {
      assert.equal(policy.checkUrl(`http://${host}/`).isOnion, false, host)
    }
  })

  it('refuses everything else with a fixed code', () => {
    const cases: Partial<Record<ProblemCode, readonly string[]>> = {
      url_invalid: [
        ...['', 'x', '//x/', '/x', 'http:x', 'http:/x', 'http:///x', 'http://', 'http://?', 'https://#', 'http://\\x/'],
        ...['http:\\\\x\\', 'http://a.test\\@b.test/', 'http://a.test/\ud800'],
      ],
      url_userinfo: [
        ...[
          'http://user:pw@a.test/',
          'http://a@b:80@c.test/',
          'http://@a.test/',
          'http://:@a.test/',
          'http://me@127.0.0.1/',
        ],
      ],
      url_control_character: [
        ...['http://a.test\t/', 'http://a\n.test/', ' http://a.test/', 'http://a.test/ ', 'http://a.test/a b'],
        ...['http://a.test/\0', 'http://a.test/\x7f', 'http://a.test/\u00a0', 'http://a.test/\u2028', 'http://h\t\n/'],
        ...['http://a.test/\r\nX: y', 'ht\ntp://a.test/', '\u0085http://a.test/'],
      ],
      url_too_long: [`http://a.test/${'x'.repeat(8 * 1024 - 13)}`, `http://a.test/${'é'.repeat(4096)}`],
      scheme_not_allowed: [
        ...[
          'file:///etc/passwd',
          'ftp://a.test/',
          'gopher://a.test/',
          'dict://a.test/',
          'data:,x',
          'blob:http://a.test/x',
        ],
        ...['javascript:alert(1)', 'ws://a.test/', 'wss://a.test/', 'http+unix://x/', 'view-source:http://a.test/'],
      ],
      host_invalid: [
        ...['http://a_b.test/', 'http://-a.test/', 'http://a-.test/', 'http://a..b/', 'http://a.test../', 'http://./'],
        ...['http://.a.test/', 'http://a%00b.test/', 'http://a%20b.test/', 'http://xn--a.test/', 'http://xn--.test/'],
        ...[
          'http://1.2.3.4.5/',
          'http://256.1.1.1/',
          'http://a.1/',
          'http://[::1/',
          'http://[fe80::1%25eth0]/',
          'http://[x]/',
        ],
        ...[`http://${'a'.repeat(64)}.test/`, `http://${'a.'.repeat(127)}a/`, 'http://a$b.test/', "http://a'b.test/"],
        ...['http://x.exit/', 'http://x.$fp.exit/', 'http://www.a.test.name.exit./', 'http://x.noconnect/'],
      ],
      port_invalid: [
        ...['http://a.test:0/', 'http://a.test:00/', 'http://a.test:65536/', 'http://a.test:-1/', 'http://a.test:x/'],
        ...['http://a.test:80:80a/', 'http://a.test:١/', 'http://[::1]:0/', 'http://a.test:999999/'],
      ],
      port_not_allowed: [22, 23, 25, 53, 135, 136, 137, 138, 139, 445, 465, 587].map(
        (port) => `http://a.test:${port}/`,
      ),
      target_forbidden: [
        ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
        ...['169.254.169.254', '100.64.0.1', '192.0.0.1', '192.0.2.1', '198.18.0.1', '198.19.255.255', '198.51.100.7'],
        ...['203.0.113.9', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255', '192.88.99.1'],
        ...[
          '2130706433',
          '0x7f.1',
          '0x7f000001',
          '127.1',
          '0177.0.0.1',
          '①②⑦.0.0.1',
          '127。0。0。1',
          '127.0.0.1.',
          '%3127.1',
        ],
        ...[
          '[::1]',
          '[::]',
          '[::ffff:127.0.0.1]',
          '[::ffff:7f00:1]',
          '[::ffff:8.8.8.8]',
          '[::127.0.0.1]',
          '[::ffff:0:7f00:1]',
        ],
        ...[
          '[64:ff9b::7f00:1]',
          '[64:ff9b:1::1]',
          '[2002:7f00:1::]',
          '[2001::1]',
          '[2001:db8::1]',
          '[3fff::1]',
          '[100::1]',
        ],
        ...['[fc00::1]', '[fd12:3456::1]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[4000::1]', '[5f00::1]'],
        ...['localhost', 'LOCALHOST.', 'a.localhost', 'router', 'router.', 'onion', 'printer.local', 'x.internal'],
        ...['metadata.google.internal', 'nas.lan', 'x.home.arpa', 'home.arpa', 'HOME.ARPA.', 'ⓛocalhost', 'local'],
        ...['internal', 'lan', 'exit', 'noconnect', 'onion.', 'exit.', 'arpa'],
      ].map((host) => `http://${host}/`),
      onion_address_invalid: [
        ...['x.onion', 'facebookcorewwwi.onion', `a${ONION}`, ONION.slice(1), ONION.replace('duck', 'euck')],
        ...[ONION.replace('duck', '1uck'), ONION.replace('duck', 'EUCK'), 'a.b.onion.'],
      ].map((host) => `http://${host}/`),
    }
    for (const [code, urls] of Object.entries(cases)) {
      for (const url of urls)
        assert.throws(() => policy.checkUrl(url), { name: 'CbtorError', code }, JSON.stringify(url))
    }
  })

  it('says no more of a bad URL than 64 harmless characters, and never a password', () => {
    const messageOf = (url: string) => {
      try {
        policy.checkUrl(url)
      } catch (error) {
        return String(error)
      }
      return assert.fail(`${url} was let through`)
    }
    assert.doesNotMatch(messageOf(`http://a.test/\x1b[2J${'x'.repeat(100)}`), /\p{Cc}|x{65}/u)
    for (const url of ['http://me:hunter2@a.test/', 'http://me:hunter2@a.test/ ', 'http://me:hunter2@a.test:0/']) {
      assert.doesNotMatch(messageOf(url), /hunter2/)
    }
  })

  it('reaches reserved addresses and denied ports that are allowed by name, and no others', () => {
    const lab = createTargetPolicy({ allowReserved: ['203.0.113.0/24', '127.0.0.1', 'fd00::/8'], allowPorts: [25] })
    for (const host of ['203.0.113.80', '127.0.0.1', '0x7f.1', '[fd00::1]', 'a.test:25'])
      lab.checkUrl(`http://${host}/`)
    for (const host of ['127.0.0.2', '10.0.0.1', '[::ffff:127.0.0.1]', '[fe80::1]']) {
      assert.throws(() => lab.checkUrl(`http://${host}/`), { code: 'target_forbidden' }, host)
    }
    assert.throws(() => lab.checkUrl('http://a.test:22/'), { code: 'port_not_allowed' })
  })

  it('lets through what the rules of the configuration and of the key both let through', () => {
    const configured = createTargetPolicy({ allowReserved: ['203.0.113.0/24'], allowPorts: [25] }).narrowedBy({
      allow: ['203.0.113.0/24', '10.0.0.0/8', 'example.com', 'onion'],
      deny: ['203.0.113.66', ':8080'],
    })
    const of = (policy: TargetPolicy, url: string) => {
      try {
        policy.checkUrl(url)
        return 'ok'
      } catch (error) {
        return error instanceof CbtorError ? error.code : error
      }
    }
    const cases: [url: string, configured: string, key: string][] = [
      ['http://example.com/', 'ok', 'port_not_allowed'],
      ['https://example.com/', 'ok', 'ok'],
      ['https://WWW.example.com./', 'ok', 'ok'],
      ['https://private.example.com/', 'ok', 'target_forbidden'],
      ['https://example.org/', 'target_forbidden', 'target_forbidden'],
      ['https://203.0.113.80/', 'ok', 'ok'],
      ['https://203.0.113.66/', 'target_forbidden', 'target_forbidden'],
      ['http://example.com:8080/', 'port_not_allowed', 'port_not_allowed'],
      ['http://example.com:25/', 'ok', 'port_not_allowed'],
      [`https://${ONION}/`, 'ok', 'target_forbidden'],
      // What is reserved stays so, whatever allows it by a rule.
      ['https://10.1.1.1/', 'target_forbidden', 'target_forbidden'],
      ['https://127.0.0.1/', 'target_forbidden', 'target_forbidden'],
      ['https://example.com:22/', 'port_not_allowed', 'port_not_allowed'],
    ]
    const rules = {
      allow: ['example.com', '203.0.113.0/24', 'example.org', '127.0.0.1', '10.0.0.0/8', ':443', ':8080', ':22'],
      deny: ['private.example.com'],
    }
    const narrowed = configured.narrowedBy(rules)
    for (const [url, byConfiguration, byKey] of cases) {
      assert.equal(of(configured, url), byConfiguration, url)
      assert.equal(of(narrowed, url), byKey, url)
    }
    assert.equal(configured.narrowedBy(rules), narrowed, 'the rules of a key are read once')
    for (const none of [undefined, {}, { allow: [], deny: [] }]) assert.equal(configured.narrowedBy(none), configured)
    assert.throws(() => configured.narrowedBy({ deny: ['a b'] }), { name: 'RangeError', message: /"a b"/ })
  })

  it('refuses an allow list that it cannot read', () => {
    for (const subnet of ['localhost', '10.0.0.0/33', '10.0.0.0/', '::/129', '', '10.0.0.0/8/8', '1.2.3.4/-1']) {
      assert.throws(() => createTargetPolicy({ allowReserved: [subnet] }), RangeError, subnet)
    }
  })

  it('gives a target that is safe to hand to Tor, or a CbtorError, for any input', () => {
    const piece = fc.constantFrom(
      ...[
        'http://',
        'https://',
        'http:',
        '//',
        '/',
        '.',
        '..',
        '。',
        '%2e',
        '@',
        ':',
        ':80',
        ':22',
        '[',
        ']',
        '\\',
        '?',
        '#',
      ],
      ...[
        '127',
        '0x7f',
        '1',
        '0',
        '①',
        '::',
        'ffff',
        'localhost',
        'a',
        'A',
        'test',
        'onion',
        ONION,
        'xn--',
        '-',
        '_',
        'exit',
      ],
      ...['\t', '\0', ' ', 'é', '\u00ad', 'ß', '💩', 'local', 'internal', '2002', '7f00', '64:ff9b::'],
    )
    const url = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      fc.array(piece, { maxLength: 8 }).map((pieces) => `http://${pieces.join('')}/`),
      fc.webUrl({ withFragments: true }),
      fc.ipV4Extended().map((ip) => `http://${ip}/`),
      fc.ipV6().map((ip) => `http://[${ip}]/`),
      fc.string({ unit: 'binary' }).map((text) => `http://${text}`),
    )
    fc.assert(
      fc.property(url, (raw) => {
        try {
          assertSafe(policy.checkUrl(raw).target, raw)
        } catch (error) {
          assert.ok(error instanceof CbtorError, `${JSON.stringify(raw)}: ${error}`)
        }
      }),
      { numRuns: 3000 },
    )
  })
})

describe('checkTarget()', () => {
  it('judges a host and port as a URL with them would be judged', () => {
    assert.deepEqual(policy.checkTarget('EXAMPLE.com.', 443), { host: 'example.com', port: 443 })
    assert.deepEqual(policy.checkTarget(`${ONION}.`, 80), { host: ONION, port: 80 })
    assert.deepEqual(policy.checkTarget('2606:2800:220:1::1', 80), { host: '2606:2800:220:1::1', port: 80 })
    const cases: [host: string, port: number, code: ProblemCode][] = [
      ['127.0.0.1', 80, 'target_forbidden'],
      ['2130706433', 80, 'target_forbidden'],
      ['::1', 80, 'target_forbidden'],
      ['localhost', 9051, 'target_forbidden'],
      ['a.test', 25, 'port_not_allowed'],
      ['a.test', 0, 'port_invalid'],
      ['a.test', 65_536, 'port_invalid'],
      ['a.test', Number.NaN, 'port_invalid'],
      ['', 80, 'host_invalid'],
      ['fe80::1%eth0', 80, 'host_invalid'],
      ['a.test/', 80, 'host_invalid'],
      ['me@a.test', 80, 'host_invalid'],
      ['x.onion', 80, 'onion_address_invalid'],
    ]
    for (const [host, port, code] of cases) {
      assert.throws(() => policy.checkTarget(host, port), { name: 'CbtorError', code }, `${host}:${port}`)
    }
  })

  it('gives a target that is safe to hand to Tor, or a CbtorError, for any input', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV4Extended(), fc.ipV6(), fc.string()), fc.integer(), (host, port) => {
        try {
          assertSafe(policy.checkTarget(host, port), host)
        } catch (error) {
          assert.ok(error instanceof CbtorError, String(error))
        }
      }),
    )
  })
})

function assertSafe({ host, port }: { host: string; port: number }, raw: string): void {
  assert.match(host, isIP(host) === 6 ? /^[0-9a-f:]+$/ : /^[a-z0-9.-]+[a-z0-9]$/, raw)
  assert.ok(port >= 1 && port <= 65_535, raw)
  if (isIP(host) !== 0) assert.ok(!RESERVED_ADDRESSES.has(host), raw)
  // What the URL parser takes for an address must never pass as a name.
  else assert.equal(isIP(new URL(`http://${host}/`).hostname), 0, raw)
}
