/** Rows 1 to 63 that are one request to POST /api/v1/fetch with one answer. */
import { AUTHORIZATION, fetching, fields, type HttpRow, posted, request, urls } from './rows.ts'
import { ONION } from './targets.ts'

const good = { url: 'http://ok.test/' }
const ALLOW = { allow: /^POST$/ }

const LABEL = ONION.slice(0, 56)

/** Rows 52 to 59. */
const TARGETS_AT_FAULT: readonly HttpRow[] = [
  fetching(52, { url: 'http://ok.test/loop' }, 502, 'redirect_limit', { redirects: 10, asks: 'whatever' }),
  fetching(52, { url: 'http://ok.test/hop/21' }, 502, 'redirect_limit', { redirects: 10, asks: 'whatever' }),
  fetching(52, { url: 'http://ok.test/hop/3', max_redirects: 2 }, 502, 'redirect_limit', {
    redirects: 2,
    asks: 'whatever',
  }),
  ...['file', 'loopback', 'lan', 'port'].map((where) =>
    fetching(52, { url: `http://ok.test/to-${where}` }, 403, 'redirect_forbidden', { asks: 'whatever' }),
  ),
  fetching(52, { url: `http://${ONION}/to-clearnet`, isolation: 'request' }, 403, 'redirect_forbidden', {
    asks: [`${ONION}:80`],
  }),
  ...['large', 'vast', 'endless'].map((path) =>
    fetching(54, { url: `http://ok.test/${path}` }, 502, 'response_too_large', { asks: 'whatever' }),
  ),
  ...['gzip', 'br', 'zstd'].map((coding) =>
    fetching(55, { url: `http://ok.test/bomb/${coding}`, max_bytes: 104_857_600 }, 502, 'decompression_limit', {
      asks: 'whatever',
    }),
  ),
  ...['nested', 'not-gzip'].map((path) =>
    fetching(55, { url: `http://ok.test/${path}` }, 502, 'encoding_invalid', { asks: 'whatever' }),
  ),
  fetching(55, { url: 'http://ok.test/no-such-coding' }, 200, undefined, {
    asks: 'whatever',
    because: 'a coding that nobody knows is handed on with its header, as bytes: whoever asked may know it',
  }),
  ...['slow', 'never'].map((path) =>
    fetching(58, { url: `http://ok.test/${path}`, timeout_ms: 500 }, 504, 'timeout', { asks: 'whatever' }),
  ),
  ...(
    [
      ['expired', 'tls_certificate_expired'],
      ['wrong', 'tls_wrong_host'],
      ['stranger', 'tls_untrusted'],
      ['old', 'tls_old_version'],
      ['plain', 'tls_not_spoken'],
      ['reset', 'tls_handshake_lost'],
    ] as const
  ).map(([name, code]) => fetching(59, { url: `https://${name}.test/` }, 502, code, { asks: 'whatever' })),
]

/** Rows 1 to 5. */
const KEYS: readonly HttpRow[] = [
  {
    ...{ n: 1, name: 'F no Authorization', status: 401, code: 'auth_required' },
    ...{ bytes: posted(good).replace(`${AUTHORIZATION}\r\n`, ''), headers: { 'www-authenticate': /^Bearer/ } },
  },
  ...[
    ...['Bearer', 'Bearer ', 'Bearer x', 'Basic eDp5', 'bearer {KEY}x', 'Bearer {KEY} x', '{KEY}', 'Bearer cbt_'],
    ...[
      `Bearer cbt_00000000_${'0'.repeat(43)}`,
      `Bearer cbt_00000000_${'0'.repeat(42)}`,
      `Bearer {KEYID}_${'0'.repeat(43)}`,
    ],
    ...[
      `Bearer {KEYID}_${'0'.repeat(44)}`,
      `Bearer ${'x'.repeat(8_000)}`,
      'Bearer ../../etc/passwd',
      'Bearer __proto__',
    ],
  ].map(
    (value): HttpRow => ({
      ...{ n: 2, name: `F Authorization: ${value}`, status: 401, code: 'auth_invalid' },
      ...{
        bytes: posted(good).replace(AUTHORIZATION, `Authorization: ${value}`),
        headers: { 'www-authenticate': /^Bearer/ },
      },
      detail: 'Cannot take the request: the key is unknown, revoked or expired',
    }),
  ),
  ...['api_key', 'token', 'key', 'access_token', 'API_KEY', 'x'].map(
    (name): HttpRow => ({
      ...{ n: 4, name: `F ?${name}=KEY`, status: 401, code: 'auth_in_query_refused' },
      bytes: posted(good, ['Content-Type: application/json'], `/api/v1/fetch?${name}={KEY}`),
    }),
  ),
  ...[AUTHORIZATION, 'Authorization: Bearer x', 'AUTHORIZATION: Basic eDp5'].map(
    (second): HttpRow => ({
      ...{ n: 5, name: `F Authorization twice, ${second}`, status: 400, code: 'duplicate_header' },
      bytes: posted(good, ['Content-Type: application/json', second]),
    }),
  ),
]

export const FETCH_ROWS: readonly HttpRow[] = [
  ...KEYS,
  ...['GET', 'PUT', 'DELETE', 'TRACE', 'PATCH'].map(
    (method): HttpRow => ({
      ...{ n: 6, name: `F ${method}`, bytes: request(method, '/api/v1/fetch', []), status: 405 },
      ...{ code: 'method_not_allowed', headers: ALLOW },
    }),
  ),
  ...[
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/jsonp',
    '',
  ].map(
    (type): HttpRow => ({
      ...{ n: 7, name: `F Content-Type: ${type || 'none'}`, status: 415, code: 'unsupported_media_type' },
      bytes: posted(good, type === '' ? [] : [`Content-Type: ${type}`]),
    }),
  ),

  fetching(11, '{"url":"http://ok.test/","__proto__":{"method":"PUT"}}', 400, 'unknown_field'),
  fetching(11, '{"url":"http://ok.test/","\\u005f_proto__":1}', 400, 'unknown_field'),
  fetching(11, '{"url":"http://ok.test/","headers":{"__proto__":"a"}}', 400, 'unknown_field'),
  fetching(11, '{"url":"http://ok.test/","constructor":{"prototype":{"a":1}}}', 400, 'unknown_field'),
  fetching(11, { ...good, constructor: 1 }, 400, 'unknown_field'),
  fetching(11, { ...good, prototype: {} }, 400, 'unknown_field'),
  fetching(12, { ...good, uri: 'x', timeout: 5 }, 400, 'unknown_field'),
  fetching(12, { uri: 'x', timeout_ms: 0 }, 400, 'invalid_input', {
    faults: ['timeout_range', 'unknown_field', 'url_required'],
  }),

  { ...fetching(13, { url: `http://ok.test/${'x'.repeat(1024 * 1024)}` }, 413, 'payload_too_large'), closes: true },
  {
    ...{ n: 13, name: 'F a body that is longer than it says', status: 400, code: 'http_invalid' },
    bytes: posted(good).replace(/Content-Length: \d+/, 'Content-Length: 10'),
    closes: true,
  },
  {
    ...{ n: 13, name: 'F a body of 1 MiB in chunks, and more to come', status: 413, code: 'payload_too_large' },
    bytes: request(
      'POST',
      '/api/v1/fetch',
      ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
      `100001\r\n${' '.repeat(0x100001)}\r\n`,
    ),
    closes: true,
  },
  ...['gzip', 'br', 'deflate', 'gzip, identity'].map(
    (coding): HttpRow => ({
      ...{ n: 14, name: `F Content-Encoding: ${coding}`, status: 415, code: 'unsupported_media_type' },
      bytes: posted(good, ['Content-Type: application/json', `Content-Encoding: ${coding}`]),
    }),
  ),
  ...[
    ['Content-Length: 2', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 2'],
    ['Content-Length: 2', 'Content-Length: 3'],
    ['Content-Length: 2, 2'],
    ['Content-Length: +2'],
    ['Transfer-Encoding: xchunked'],
    ['Transfer-Encoding: chunked, identity'],
    ['Transfer-Encoding : chunked'],
  ].map(
    (headers): HttpRow => ({
      ...{ n: 17, name: `F ${headers.join(', ')}`, status: 400, code: 'http_invalid', closes: true },
      bytes: request('POST', '/api/v1/fetch', ['Content-Type: application/json', ...headers], '{}'),
    }),
  ),
  ...[
    'evil.test',
    'evil.test:80',
    '127.0.0.1',
    '127.0.0.1.evil.test:{PORT}',
    '',
    '{HOST}, evil.test',
    'http://{HOST}',
  ].map(
    (host): HttpRow => ({
      ...{ n: 18, name: `F Host: ${host}`, status: 421, code: 'host_not_allowed' },
      bytes: posted(good).replace('Host: {HOST}', `Host: ${host}`),
    }),
  ),
  ...['https://evil.test', 'null', 'http://{HOST}.evil.test', 'file://', 'http://localhost'].flatMap(
    (origin): HttpRow[] => [
      {
        ...{ n: 19, name: `F Origin: ${origin}`, status: 403, code: 'origin_not_allowed' },
        bytes: posted(good, ['Content-Type: application/json', `Origin: ${origin}`]),
      },
      {
        ...{ n: 19, name: `F a preflight from ${origin}`, status: 403, code: 'origin_not_allowed' },
        bytes: request('OPTIONS', '/api/v1/fetch', [`Origin: ${origin}`, 'Access-Control-Request-Method: POST']),
      },
    ],
  ),

  fetching(20, {}, 400, 'url_required'),
  ...urls(20, [''], 400, 'url_required'),
  ...[null, 1, ['http://ok.test/'], {}, true].map((url) => fetching(20, { url }, 400, 'url_type')),
  ...urls(21, [`http://ok.test/${'x'.repeat(8_192)}`, `http://${'a.'.repeat(4_096)}a/`], 400, 'url_too_long'),
  ...urls(21, [`http://ok.test/${'é'.repeat(5_000)}`], 400, 'url_too_long'),
  ...urls(
    22,
    [
      ...['file:///etc/passwd', 'ftp://ok.test/', 'gopher://ok.test/', 'dict://ok.test:11111/', 'data:text/html,x'],
      ...['blob:http://ok.test/x', 'javascript:alert(1)', 'ws://ok.test/', 'wss://ok.test/', 'http+unix://%2Frun%2Fx/'],
      ...['view-source:http://ok.test/', 'jar:http://ok.test/!/', 'about:blank', 'FILE:///etc/passwd'],
    ],
    400,
    'scheme_not_allowed',
  ),
  ...urls(
    23,
    [
      ...[
        '//ok.test/',
        '//x/',
        '/x',
        'ok.test',
        'http:ok.test',
        'http:/ok.test',
        'http:///ok.test',
        'https:///x',
        'http://',
      ],
      ...['http:\\\\ok.test\\', 'http://\\ok.test/', 'http://?', 'http://#x', 'http://ok.test\\@evil.test/'],
    ],
    400,
    'url_invalid',
  ),
  ...urls(
    25,
    [
      ...['http://ok.test\t/', 'http://ok.test\n/', 'http://ok\r.test/', 'http://h\t\n/', 'ht\ttp://ok.test/'],
      ...['http://ok.test/\0', ' http://ok.test/', 'http://ok.test/ ', 'http://ok.test/a b', 'http://ok.test/\x7f'],
      ...[
        'http://ok.test/\u0085',
        'http://ok.test/\u2028',
        'http://ok.test/\u00a0',
        'http://ok.test/\r\nHost: evil.test',
      ],
    ],
    400,
    'url_control_character',
  ),
  ...urls(
    26,
    [
      'http://user:pw@ok.test/',
      'http://user@ok.test/',
      'http://:pw@ok.test/',
      'http://@ok.test/',
      'http://a@b:80@ok.test/',
    ],
    400,
    'url_userinfo',
  ),
  ...urls(
    28,
    [
      ...['127.0.0.1', 'localhost', 'LOCALHOST.', 'a.localhost', '[::1]', '0.0.0.0', '[::]', '127.255.255.254', '0'],
      ...['localhost:8080', '127.0.0.1:9051', '[::1]:9051', 'ⓛocalhost', 'loc%61lhost'],
    ].map((host) => `http://${host}/`),
    403,
    'target_forbidden',
  ),
  ...urls(
    29,
    [
      ...['2130706433', '0x7f.1', '127.1', '0177.0.0.1', '①②⑦.0.0.1', '0x7f000001', '0x7F.0x0.0x0.0x1', '017700000001'],
      ...[
        '127.0.1',
        '127。0。0。1',
        '127.0.0.1.',
        '%31%32%37.0.0.1',
        '１２７.0.0.1',
        '3232235777',
        '0xa9fea9fe',
        '0xc0.168.1',
      ],
    ].map((host) => `http://${host}/`),
    403,
    'target_forbidden',
  ),
  ...urls(
    30,
    [
      ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[::127.0.0.1]'],
      ...[
        '[::ffff:0:127.0.0.1]',
        '[64:ff9b:1::7f00:1]',
        '[2001:0:7f00:1::]',
        '[0:0:0:0:0:ffff:a00:1]',
        '[::FFFF:10.0.0.1]',
      ],
    ].map((host) => `http://${host}/`),
    403,
    'target_forbidden',
  ),
  ...urls(
    31,
    [
      ...['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1'],
      ...['100.127.255.255', '192.0.0.1', '192.0.2.1', '198.18.0.1', '198.19.255.255', '198.51.100.7', '203.0.113.9'],
      ...[
        '224.0.0.1',
        '239.255.255.250',
        '240.0.0.1',
        '255.255.255.255',
        '[fc00::1]',
        '[fdff::1]',
        '[fe80::1]',
        '[febf::1]',
      ],
      ...['[ff00::1]', '[ff02::1]', '[2001:db8::1]', '[fec0::1]', '[100::1]', '[3fff::1]', '[5f00::1]'],
    ].map((host) => `http://${host}/`),
    403,
    'target_forbidden',
  ),
  ...urls(
    34,
    [
      ...[
        'printer.local',
        'metadata.google.internal',
        'nas.lan',
        'x.home.arpa',
        'home.arpa',
        'router',
        'router.',
        'ROUTER',
      ],
      ...['local', 'A.B.LOCAL.', 'x.internal.', 'com', 'onion'],
    ].map((host) => `http://${host}/`),
    403,
    'target_forbidden',
  ),
  ...urls(
    35,
    [
      ...[
        'expyuzz4wqqyqhjn.onion',
        `${LABEL.slice(1)}.onion`,
        `a${LABEL}.onion`,
        `${LABEL.replace('duck', 'euck')}.onion`,
      ],
      ...[`${LABEL.replace('duck', 'EUCK').toUpperCase()}.ONION`, `${LABEL.replace('duck', '1uck')}.onion`, 'x.onion'],
      ...[`${LABEL}.x.onion`, `x.${LABEL.slice(1)}.onion`],
    ].map((host) => `http://${host}/`),
    400,
    'onion_address_invalid',
  ),
  ...[`${ONION}.`, `${LABEL}.ONION.`, ONION.toUpperCase(), `${LABEL}。onion`, `${LABEL}%2eonion`].map((host) =>
    fetching(36, { url: `http://${host}/`, isolation: 'request' }, 200, undefined, { asks: [`${ONION}:80`] }),
  ),
  ...urls(
    37,
    ['x.exit', 'x.$FP.exit', 'x.noconnect', 'www.ok.test.relay.exit', 'X.EXIT.'].map((host) => `http://${host}/`),
    400,
    'host_invalid',
    {
      because:
        'host_not_allowed is what row 18 is answered with, by 421; a name that is no host is host_invalid, as in row 38',
    },
  ),
  ...urls(
    38,
    [
      ...[
        'a_b.test',
        '_dmarc.ok.test',
        '-a.test',
        'a-.test',
        'a..b',
        'a.test..',
        '.a.test',
        '.',
        `${'a'.repeat(64)}.test`,
      ],
      ...[
        `${'a.'.repeat(127)}a`,
        'xn--a.test',
        'xn--.test',
        'xn--0.test',
        'a%00b.test',
        'a%20b.test',
        'a*b.test',
        'a!b.test',
      ],
      ...[
        '[::1',
        '[x]',
        '[fe80::1%25eth0]',
        '1.2.3.4.5',
        '256.1.1.1',
        '0x1ffffffff',
        'a$(x).test',
        "a'b.test",
        'a;b.test',
      ],
    ].map((host) => `http://${host}/`),
    400,
    'host_invalid',
  ),
  ...urls(
    39,
    [':0', ':00', ':65536', ':-1', ':99999', ':x', ':80x', ':+80', ':8 0'.trim().replace(' ', '%20'), ':١'].map(
      (port) => `http://ok.test${port}/`,
    ),
    400,
    'port_invalid',
  ),
  ...urls(
    39,
    [22, 23, 25, 53, 135, 136, 137, 138, 139, 445, 465, 587].map((port) => `http://ok.test:${port}/`),
    403,
    'port_not_allowed',
  ),

  ...fields(
    40,
    [
      ...['us; ExitNodes {ru}', '{us}', 'USA', 'US', '\r\nSIGNAL HALT', 'zz', '', 'u', 'd\u0435', 7, null, ['us']].map(
        (country) => ({ country }),
      ),
      ...[['zz'], 'us', [], ['us', '{ru}']].map((countries) => ({ exclude_countries: countries })),
    ],
    'country_invalid',
  ),
  fetching(41, { ...good, country: 'fr' }, 422, 'no_exit_for_country_port', {
    asks: ['ok.test:80', 'ok.test:80'],
    because: 'the worker is asked whether it knows such exits; it builds no circuit for that (src/workers/exits)',
  }),

  ...fields(
    43,
    [
      ...['a b', 'a:b', 'a\rb', 'a\nb', '', 'ä', 'a(b)', 'a,b', ' a', 'a\0'].map((name) => ({
        headers: { [name]: 'x' },
      })),
      ...['a\rb', 'a\nb', 'a\r\nX: y', 'a\0b', '\u20ac', 'a\x7fb'].map((value) => ({ headers: { 'x-a': value } })),
      ...[{ 'x-a': ['ok', 'a\nb'] }, { 'x-a': 1 }, { 'x-a': null }, [], 'x', null].map((headers) => ({ headers })),
    ],
    'header_invalid',
  ),
  ...fields(
    44,
    [
      ...[
        'Host',
        'Content-Length',
        'Transfer-Encoding',
        'Connection',
        'Upgrade',
        'Proxy-Authorization',
        'Proxy-Connection',
      ],
      ...['TE', 'Trailer', 'Keep-Alive', 'Expect', 'hOST', 'proxy-x', 'HTTP2-Settings'],
    ].map((name) => ({ headers: { [name]: 'x' } })),
    'header_forbidden',
  ),
  ...fields(
    45,
    ['X-Forwarded-For', 'X-Forwarded-Host', 'Via', 'Forwarded', 'X-Real-IP', 'x-forwarded-for'].map((name) => ({
      headers: { [name]: '192.0.2.1' },
    })),
    'header_forbidden',
  ),
  ...fields(
    46,
    [
      { 'x-a': Array(65).fill('x') },
      Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`x-${index}`, 'x'])),
      { 'x-a': 'x'.repeat(17 * 1024) },
      { ['x'.repeat(17 * 1024)]: 'x' },
      { 'x-a': 'x'.repeat(16_000), 'x-b': 'x'.repeat(16_000), 'x-c': 'x'.repeat(1_800) },
    ].map((headers) => ({ headers })),
    'headers_too_large',
  ),
  ...fields(
    48,
    [-1, 0, 499, 300_001, 1e12, '5s', '500', 0.5, 500.5, null, [500]].map((ms) => ({ timeout_ms: ms })),
    'timeout_range',
  ),
  fetching(48, '{"url":"http://ok.test/","timeout_ms":1e999}', 400, 'timeout_range'),
  ...fields(
    50,
    ['a\rb', 'a\r\nSIGNAL HALT', 'x'.repeat(65), '🧅', '', 'a b', 'a\0', 'ä', 7, null].map((key) => ({
      sticky_key: key,
    })),
    'session_invalid',
  ),
  fetching(50, { ...good, sticky_key: '<torS0X>1' }, 200, undefined, {
    asks: ['ok.test:80'],
    because: 'it is a key as any other: Tor never sees it, for the identity is a hash of it, drawn with a secret',
  }),
  ...['../tor01', '../../etc/passwd', 'tor99', 'toString', '__proto__', 'tor01\0'].map((worker) =>
    fetching(63, { ...good, worker }, 404, 'worker_not_found'),
  ),
  fetching(63, { ...good, worker: 99 }, 404, 'worker_not_found'),

  ...TARGETS_AT_FAULT,
]
