/** Rows 65 to 85 that are one request to a proxy port with one answer. */
import type { HttpRow, SocksRow } from './rows.ts'

/** Of a proxy's client. */
function http(
  n: number,
  name: string,
  bytes: string,
  status: number,
  code?: HttpRow['code'],
  more: Partial<HttpRow> = {},
): HttpRow {
  return { n, name: `H ${name}`, bytes, status, ...(code && { code }), ...more }
}

function connects(
  n: number,
  authority: string,
  status: number,
  code?: HttpRow['code'],
  more: Partial<HttpRow> = {},
): HttpRow {
  return http(n, `CONNECT ${authority}`, `CONNECT ${authority} HTTP/1.1\r\nHost: a\r\n\r\n`, status, code, {
    closes: true,
    ...more,
  })
}

function gets(n: number, url: string, status: number, code: HttpRow['code'], more: Partial<HttpRow> = {}): HttpRow {
  return http(n, `GET ${url}`, `GET ${url} HTTP/1.1\r\nHost: a\r\n\r\n`, status, code, more)
}

const POST = 'POST http://ok.test/ HTTP/1.1\r\nHost: a\r\n'
const BASIC = { 'proxy-authenticate': /^Basic realm="cbtor"/ }

export const HTTP_ROWS: readonly HttpRow[] = [
  ...[
    'Basic !!!',
    'Basic',
    `Basic ${btoa('no-colon')}`,
    'Bearer x',
    'Digest username="a"',
    `Basic ${btoa(':a')} x`,
  ].map((value) =>
    http(
      65,
      value,
      `GET http://ok.test/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: ${value}\r\n\r\n`,
      407,
      'proxy_auth_required',
      {
        headers: BASIC,
      },
    ),
  ),
  http(
    65,
    'two headers',
    `GET http://ok.test/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic ${btoa(':a')}\r\nProxy-Authorization: Basic ${btoa(':a')}\r\n\r\n`,
    407,
    'proxy_auth_required',
    { headers: BASIC },
  ),
  ...['/', '/docs', '/api/v1/health', '//ok.test/'].map((path) => gets(66, path, 400, 'url_invalid')),
  ...[
    '127.0.0.1:9051',
    'localhost:9051',
    '[::1]:9051',
    '2130706433',
    '0x7f.1',
    '169.254.169.254',
    'router',
    'x.local',
  ].map((host) => gets(67, `http://${host}/`, 403, 'target_forbidden')),
  ...[
    ...[
      '127.0.0.1:9051',
      'localhost:80',
      '[::1]:9051',
      '2130706433:80',
      '0x7f.1:80',
      '[::ffff:127.0.0.1]:80',
      '10.0.0.1:443',
    ],
    ...['169.254.169.254:80', '127.0.0.1.:80', 'router:80', 'metadata.google.internal:80'],
  ].map((authority) => connects(67, authority, 403, 'target_forbidden')),
  ...[
    'ok.test',
    'ok.test:',
    '[::1',
    '[::1]',
    'http://h:443',
    'u:p@ok.test:443',
    'u@ok.test:443',
    ':443',
    '::1:443',
    'ok.test:x',
  ].map((authority) => connects(68, authority, 400)),
  connects(68, 'ok.test:0', 400, 'port_invalid'),
  connects(68, 'ok.test:99999', 400, 'port_invalid'),
  connects(68, 'ok.test:65536', 400, 'port_invalid'),
  connects(68, 'ok.test:443 /x', 400, 'http_invalid'),
  connects(68, 'a_b.test:443', 400, 'host_invalid'),
  ...[22, 25, 53, 139, 445, 465, 587].map((port) => connects(70, `ok.test:${port}`, 403, 'port_not_allowed')),
  gets(70, 'http://ok.test:25/', 403, 'port_not_allowed'),
  gets(71, 'https://ok.test/', 400, 'use_connect'),
  gets(71, 'HTTPS://ok.test/', 400, 'use_connect'),
  ...[
    ['Content-Length: 2\r\nTransfer-Encoding: chunked', 'length and coding'],
    ['Transfer-Encoding: chunked\r\nContent-Length: 2', 'coding and length'],
    ['Transfer-Encoding: xchunked', 'TE: xchunked'],
    ['Transfer-Encoding: chunked, gzip', 'TE: chunked, gzip'],
    ['Content-Length: 2\r\nContent-Length: 2', 'two lengths'],
    ['Content-Length: 2\r\nContent-Length: 3', 'two other lengths'],
    ['Content-Length: +5', 'length +5'],
    ['Content-Length: 0x5', 'length 0x5'],
    ['Content-Length : 2', 'space before the colon'],
    ['X-A : 1', 'space before another colon'],
    ['X-A: 1\r\n folded', 'a folded header'],
  ].map(([header, name = '']) => http(73, name, `${POST}${header}\r\n\r\n{}`, 400, 'http_invalid', { closes: true })),
  http(75, 'TRACE', 'TRACE http://ok.test/ HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'method_not_allowed'),
  http(75, 'OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 405, 'method_not_allowed'),
  http(
    75,
    'Max-Forwards',
    'GET http://ok.test/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n',
    405,
    'method_not_allowed',
  ),
]

const NONE = '\x05\x01\x00'
const OFFERS_USER = '\x05\x01\x02'
const HELLO = '\x05\x00'

/** The rest of a reply, behind its code. */
const NO_ADDRESS = '\x00\x01\x00\x00\x00\x00\x00\x00'
const replied = (code: number) => `${HELLO}\x05${String.fromCharCode(code)}${NO_ADDRESS}`

function lengthed(text: string): string {
  return String.fromCharCode(text.length) + text
}

function wants(
  n: number,
  name: string,
  command: string,
  address: string,
  answer: string,
  more: Partial<SocksRow> = {},
): SocksRow {
  return { n, name: `S ${name}`, bytes: `${NONE}\x05${command}\x00${address}`, answer, ...more }
}

const named = (host: string, port = '\x00\x50') => `\x03${lengthed(host)}${port}`
const V4 = '\x01\x5d\xb8\xd8\x22\x00\x50'

export const SOCKS_ROWS: readonly SocksRow[] = [
  {
    n: 78,
    name: 'S SOCKS4',
    bytes: '\x04\x01\x00\x50\x01\x02\x03\x04\x00',
    answer: '\x00\x5b\x00\x00\x00\x00\x00\x00',
  },
  {
    n: 78,
    name: 'S SOCKS4a',
    bytes: '\x04\x01\x00\x50\x00\x00\x00\x01\x00ok.test\x00',
    answer: '\x00\x5b\x00\x00\x00\x00\x00\x00',
  },
  { n: 80, name: 'S RFC 1929 version 5', bytes: `${OFFERS_USER}\x05\x01a\x01x`, answer: '\x05\x02\x01\x01' },
  { n: 80, name: 'S RFC 1929 version 0', bytes: `${OFFERS_USER}\x00\x01a\x01x`, answer: '\x05\x02\x01\x01' },
  { n: 80, name: 'S no user name', bytes: `${OFFERS_USER}\x01\x00\x01x`, answer: '\x05\x02\x01\x01' },
  { n: 80, name: 'S no password', bytes: `${OFFERS_USER}\x01\x05key-a\x00`, answer: '\x05\x02\x01\x01' },
  {
    n: 80,
    name: 'S a user name that means nothing',
    bytes: `${OFFERS_USER}\x01\x05alice\x01x`,
    answer: '\x05\x02\x01\x01',
  },
  wants(82, 'BIND', '\x02', V4, replied(7)),
  wants(82, 'UDP ASSOCIATE', '\x03', V4, replied(7)),
  wants(82, 'RESOLVE_PTR', '\xf1', V4, replied(7)),
  wants(82, 'command 0', '\x00', V4, replied(7)),
  wants(82, 'command 0xff', '\xff', V4, replied(7)),
  wants(82, 'RESOLVE', '\xf0', named('ok.test', '\x00\x00'), `${HELLO}\x05\x00\x00\x01\xc6\x33\x64\x01\x00\x00`, {
    asks: ['ok.test'],
    because: 'RESOLVE is served, which the table leaves open: without it clients ask the resolver of their own system',
  }),
  ...[
    ...[
      '127.0.0.1',
      'localhost',
      'LOCALHOST.',
      'a.localhost',
      '[::1]',
      '::1',
      '2130706433',
      '0x7f.1',
      '127.1',
      '0177.0.0.1',
    ],
    ...[
      '0',
      '0.0.0.0',
      '::ffff:127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '127.0.0.1.',
      'router',
      'x.local',
      'x.internal',
    ],
  ].flatMap((host) => [
    wants(84, `CONNECT to the name ${host}`, '\x01', named(host), replied(2)),
    wants(84, `RESOLVE of ${host}`, '\xf0', named(host, '\x00\x00'), replied(2)),
  ]),
  wants(84, 'CONNECT to 127.0.0.1', '\x01', '\x01\x7f\x00\x00\x01\x23\x5b', replied(2)),
  wants(84, 'CONNECT to ::1', '\x01', `\x04${'\x00'.repeat(15)}\x01\x23\x5b`, replied(2)),
  wants(
    84,
    'CONNECT to ::ffff:127.0.0.1',
    '\x01',
    `\x04${'\x00'.repeat(10)}\xff\xff\x7f\x00\x00\x01\x23\x5b`,
    replied(2),
  ),
  wants(84, 'CONNECT to port 25', '\x01', named('ok.test', '\x00\x19'), replied(2)),
  wants(
    85,
    'CONNECT to an IPv6 address',
    '\x01',
    '\x04\x26\x06\x28\x00\x02\x20\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50',
    replied(4),
    {
      asks: ['2606:2800:220:1::1:80', '2606:2800:220:1::1:80'],
      because:
        'two workers are asked, and say at once that none of their exits has IPv6 (src/workers/storm-fuse.test.ts for a real Tor)',
    },
  ),
]

/** What is no SOCKS at all: closed without a word. On the port for both it is taken for HTTP. */
export const NO_SOCKS_ROWS: readonly SocksRow[] = [
  { n: 78, name: 'S GET', bytes: 'GET / HTTP/1.1\r\n\r\n', answer: '' },
  { n: 78, name: 'S G', bytes: 'G', answer: '' },
  { n: 78, name: 'S TLS', bytes: '\x16\x03\x01\x00\x05hello', answer: '' },
  { n: 78, name: 'S 0x06', bytes: '\x06', answer: '' },
  { n: 78, name: 'S 0x00', bytes: '\x00', answer: '' },
]

const wrongPasswords = [
  'x',
  'cbt_',
  `cbt_00000000_${'0'.repeat(43)}`,
  `{KEYID}_${'0'.repeat(43)}`,
  `{KEYID}_${'0'.repeat(42)}`,
  '{KEY}x',
]

/** Of ports that ask for keys. `{BASIC:…}` stands for the base64 of the rest, filled in. */
export const LOCKED_HTTP_ROWS: readonly HttpRow[] = [
  ...[
    'GET http://ok.test/',
    'GET http://127.0.0.1/',
    'GET /',
    'CONNECT ok.test:443',
    'CONNECT nothing',
    'TRACE http://ok.test/',
  ].flatMap((line) => [
    http(64, `${line}, no credentials`, `${line} HTTP/1.1\r\nHost: a\r\n\r\n`, 407, 'proxy_auth_required', {
      headers: BASIC,
    }),
    ...[
      ...wrongPasswords.map((password) => `Basic {BASIC::${password}}`),
      'Basic {BASIC:worker-9:x}',
      'Basic !!!',
      'Bearer {KEY}',
      'Basic {BASIC:{KEY}}',
    ].map((value) =>
      http(
        65,
        `${line}, ${value}`,
        `${line} HTTP/1.1\r\nHost: a\r\nProxy-Authorization: ${value}\r\n\r\n`,
        407,
        'proxy_auth_required',
        {
          headers: BASIC,
        },
      ),
    ),
  ]),
]

export const LOCKED_SOCKS_ROWS: readonly SocksRow[] = [
  { n: 80, name: 'S no method but none', bytes: NONE, answer: '\x05\xff' },
  ...wrongPasswords.map(
    (password): SocksRow => ({
      ...{ n: 80, name: `S password ${password}`, answer: '\x05\x02\x01\x01' },
      bytes: `${OFFERS_USER}\x01\x05key-a{LENGTHED:${password}}`,
    }),
  ),
]
