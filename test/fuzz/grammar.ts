/** Requests that are nearly right: built from what the ports take, with things in it that they do not. */
import type { Random } from '../../src/lib/random.ts'
import { ONION } from '../bad-inputs/targets.ts'
import { mutated, once, pick } from './random-bytes.ts'

export interface Message {
  /** ISO 8859-1. */
  readonly bytes: string
  /** Whose answer has no body. */
  readonly isHead: boolean
  /** It is one whole request, behind which another one may follow. */
  readonly isFramed: boolean
}

const HOSTS = [
  ...[
    'ok.test',
    'OK.test.',
    'ok.test:80',
    'ok.test:443',
    'ok.test:0',
    'ok.test:25',
    'ok.test:99999',
    'nowhere.test',
    '127.0.0.1',
  ],
  ...[
    'localhost',
    '[::1]',
    '[::ffff:7f00:1]',
    '2130706433',
    '0x7f.1',
    '①②⑦.0.0.1',
    '10.0.0.1',
    '93.184.216.34',
    'router',
    'x.local',
  ],
  ...[
    ONION,
    `${ONION}.`,
    'x.onion',
    'x.exit',
    'a_b.test',
    'a..b',
    'xn--a.test',
    'bücher.test',
    'u:p@ok.test',
    '[fe80::1%25lo]',
    '',
  ],
]
const SCHEMES = [
  'http://',
  'http://',
  'http://',
  'https://',
  'HTTP://',
  'http:',
  'http:///',
  'ftp://',
  'file://',
  '//',
  'javascript:',
  'ws://',
]
const PATHS = [
  '/',
  '/',
  '/loop',
  '/hop/3',
  '/to-file',
  '/to-loopback',
  '/not-gzip',
  '/nested',
  '/a b',
  '/%00',
  '/?q=1#f',
  '',
  '\\x',
]
const NUMBERS = [0, -1, 1, 499, 500, 1_000, 300_000, 300_001, 1e12, 1.5, Number.MAX_SAFE_INTEGER]
const STRINGS = [
  '',
  'x',
  'GET',
  'get',
  'base64',
  'text',
  'sticky',
  'random',
  'de',
  'fr',
  'zz',
  '{us}',
  'a\r\nb',
  '🧅',
  '\0',
  '__proto__',
]
const NAMES = [
  'x-a',
  'X-B',
  'Host',
  'content-length',
  'Via',
  'a b',
  'ä',
  '__proto__',
  'accept',
  'range',
  'cookie',
  'a:b',
  '',
]
const FIELDS = [
  ...[
    'url',
    'method',
    'headers',
    'body',
    'body_encoding',
    'timeout_ms',
    'max_bytes',
    'follow_redirects',
    'max_redirects',
  ],
  ...[
    'allow_downgrade',
    'allow_onion_to_clearnet',
    'mode',
    'sticky_key',
    'on_loss',
    'session_ttl_s',
    'country',
    'hedge',
    'isolation',
  ],
  ...[
    'exclude_countries',
    'distinct_from',
    'worker',
    'response_encoding',
    'allow_truncated',
    'nope',
    'constructor',
    '__proto__',
  ],
]

export function url(random: Random): string {
  const text = pick(random, SCHEMES) + pick(random, HOSTS) + pick(random, PATHS)
  return once(random, 6) ? mutated(text, random) : text
}

function value(random: Random, depth = 0): unknown {
  switch (random.int(depth > 2 ? 5 : 8)) {
    case 0:
      return pick(random, NUMBERS)
    case 1:
      return pick(random, STRINGS)
    case 2:
      return mutated(pick(random, STRINGS), random)
    case 3:
      return pick(random, [true, false, null])
    case 4:
      return url(random)
    case 5:
      return Array.from({ length: random.int(4) }, () => value(random, depth + 1))
    case 6:
      return Object.fromEntries(
        Array.from({ length: random.int(4) }, () => [pick(random, NAMES), value(random, depth + 1)]),
      )
    default:
      return 'x'.repeat(random.int(100))
  }
}

function fetchBody(random: Random): object {
  const isGood = !once(random, 4)
  const fields = Array.from({ length: random.int(4) }, () => [pick(random, FIELDS), value(random)])
  return {
    url: isGood ? 'http://ok.test/' : url(random),
    ...Object.fromEntries(fields),
    // The fuzz is not to wait: a pipelined request waits for those before it.
    ...(once(random, 3) ? {} : { timeout_ms: 500 }),
  }
}

type Route = readonly [method: string, path: string, body?: (random: Random) => unknown]

const ROUTES: readonly Route[] = [
  ...Array<Route>(10).fill(['POST', '/api/v1/fetch', fetchBody]),
  ['GET', '/api/v1/health'],
  ['GET', '/api/v1/mode'],
  [
    'POST',
    '/api/v1/mode',
    (random) => ({ mode: pick(random, ['round_robin', 'random', 'sticky', 'nope']), ...extra(random) }),
  ],
  ['GET', '/api/v1/endpoints'],
  ['GET', '/api/v1/tor/workers'],
  ['GET', '/api/v1/tor/workers/1'],
  ['GET', '/api/v1/tor/status'],
  ['GET', '/api/v1/events?limit=2'],
  ['GET', '/api/v1/events?limit=x&type=nope'],
  ['GET', '/api/v1/events/stream?nope=1'],
  ['GET', '/api/v1/live'],
  ['GET', '/api/v1/live/stream?since_id=-1'],
  ['GET', '/api/v1/requests?targets=maybe'],
  ['GET', '/api/v1/whoami?x=1'],
  ['GET', '/api/v1/sessions'],
  ['GET', '/api/v1/sessions/a'],
  ['DELETE', '/api/v1/sessions/a'],
  ['POST', '/api/v1/sessions/x/rotate'],
  ['POST', '/api/v1/workers/enable', (random) => ({ worker: pick(random, [1, 2, 'tor01', 9, '']), ...extra(random) })],
  ['POST', '/api/v1/workers/drain', (random) => ({ worker: pick(random, [9, 'nope', null]), ...extra(random) })],
  ['POST', '/api/v1/tor/workers/9/newnym', extra],
  ['GET', '/api/v1/keys'],
  ['POST', '/api/v1/keys', (random) => ({ name: '', scopes: value(random), ...extra(random) })],
  ['DELETE', '/api/v1/keys/nope'],
  ['POST', '/api/v1/jobs', (random) => ({ fetches: [{ url: 1, ...extra(random) }], ...extra(random) })],
  ['GET', '/api/v1/jobs'],
  ['GET', '/api/v1/jobs/nope'],
  ['GET', '/api/v1/fetch/raw?url=http://ok.test/'],
  ['GET', '/healthz'],
  ['GET', '/metrics'],
  ['GET', '/problems/timeout'],
  ['GET', '/docs/static/..%2f..%2fpackage.json'],
  ['GET', '/nope'],
]

function extra(random: Random): object {
  return once(random, 2) ? {} : { [pick(random, FIELDS)]: value(random) }
}

/** Headers that leave a message as long as it was. */
const HEADERS = [
  ...[
    'Accept: */*',
    'X-A: b',
    'X-A:',
    'Cookie: a=b',
    'Origin: https://evil.test',
    'Sec-Fetch-Site: cross-site',
    'Accept-Encoding: gzip',
  ],
  ...[
    'Idempotency-Key: a',
    'Last-Event-ID: 1; x',
    'Content-Encoding: gzip',
    'If-None-Match: *',
    'X-Forwarded-For: 1.2.3.4',
    'Range: x',
  ],
  ...[
    'X-Long: '.padEnd(2_000, 'x'),
    'Content-Type: text/plain',
    'Authorization: Bearer x',
    'Host: evil.test',
    'Max-Forwards: 0',
  ],
]
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PURGE']

function assembled(method: string, path: string, headers: readonly string[], body: string): Message {
  const length = body === '' && method !== 'POST' ? [] : [`Content-Length: ${body.length}`]
  const bytes = [`${method} ${path} HTTP/1.1`, ...headers, ...length, '', body].join('\r\n')
  return { bytes, isHead: method === 'HEAD', isFramed: true }
}

function sprinkled(random: Random, headers: readonly string[]): string[] {
  const kept = headers.filter(() => !once(random, 40))
  return once(random, 3) ? [...kept, pick(random, HEADERS)] : kept
}

/** `host`: of the API, with its port. */
export function apiMessage(random: Random, host: string, key: string): Message {
  const [wanted, path, bodyOf] = pick(random, ROUTES)
  const method = once(random, 25) ? pick(random, METHODS) : wanted
  const json = bodyOf === undefined ? '' : Buffer.from(JSON.stringify(bodyOf(random))).toString('latin1')
  const body = json !== '' && once(random, 6) ? mutated(json, random) : json
  const type = json === '' ? [] : ['Content-Type: application/json']
  return assembled(
    method,
    pathOf(random, path),
    sprinkled(random, [`Host: ${host}`, `Authorization: Bearer ${key}`, ...type]),
    body,
  )
}

/** Mutated, but still a path, and none of the one answer that has no end. */
function pathOf(random: Random, path: string): string {
  if (!once(random, 12)) return path
  const other = `/${mutated(path, random).replace(/[^\x21-\x7e]|^\//g, '')}`
  return /(?:events|live)\/+stream/.test(decoded(other)) ? path : other
}

function decoded(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}

const USERS = [
  '',
  'key-a',
  'worker-9',
  'worker-1',
  'country-de',
  'country-fr;x',
  'alice',
  'key-a;ttl-x',
  'mode-random',
  'key-\0',
  ';;',
  '-',
]

export function proxyMessage(random: Random): Message {
  const target = once(random, 3)
    ? url(random).replace(/[^\x21-\x7e]/g, '') || '/'
    : `http://ok.test${pick(random, ['/', '/loop', '/hop/2'])}`
  const method = once(random, 8) ? pick(random, METHODS) : 'GET'
  const user = pick(random, USERS)
  const credentials = once(random, 3)
    ? [`Proxy-Authorization: Basic ${Buffer.from(`${user}:x`).toString('base64')}`]
    : []
  const body = once(random, 6) ? 'x'.repeat(random.int(50)) : ''
  return assembled(method, target, sprinkled(random, ['Host: ok.test', ...credentials]), body)
}

export function connectMessage(random: Random): Message {
  const authority = once(random, 3)
    ? mutated(pick(random, HOSTS), random)
    : `${pick(random, ['ok.test', 'nowhere.test', '127.0.0.1'])}:443`
  const bytes = `CONNECT ${Buffer.from(authority).toString('latin1')} HTTP/1.1\r\nHost: a\r\n\r\n${once(random, 2) ? '\x16\x03\x01\x00\x05hello' : ''}`
  return { bytes: once(random, 3) ? mutated(bytes, random) : bytes, isHead: false, isFramed: false }
}

/** The same with broken bytes: nobody knows any more where it ends. */
export function broken(message: Message, random: Random): Message {
  return { ...message, bytes: mutated(message.bytes, random), isFramed: false }
}

/** A whole conversation of a SOCKS client. */
export function socksMessage(random: Random): Message {
  const lengthed = (text: string) => String.fromCharCode(text.length & 255) + text
  const withUser = once(random, 3)
  const hello = withUser
    ? `\x05\x01\x02\x01${lengthed(pick(random, USERS))}${lengthed(pick(random, ['x', '', 'yy']))}`
    : pick(random, [
        '\x05\x01\x00',
        '\x05\x02\x00\x02',
        '\x05\x01\x00',
        '\x05\x00',
        '\x04\x01\x00\x50\x01\x02\x03\x04\x00',
      ])
  const host = Buffer.from(pick(random, HOSTS).replace(/:\d+$/, '')).toString('latin1')
  const address = pick(random, [
    ...[`\x03${lengthed(host)}`, '\x03\x07ok.test', '\x03\x07ok.test', '\x01\x7f\x00\x00\x01', '\x01\x5d\xb8\xd8\x22'],
    ...[`\x04${'\x00'.repeat(15)}\x01`, '\x04\x26\x06\x28\x00'.padEnd(17, '\x01'), '\x09x'],
  ])
  const command = pick(random, ['\x01', '\x01', '\x01', '\xf0', '\x02', '\x03', '\xf1', '\x00'])
  const port = pick(random, ['\x01\xbb', '\x01\xbb', '\x00\x50', '\x00\x19', '\x00\x00'])
  const data = pick(random, ['', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', '\x16\x03\x01\x00\x05hello', 'x'.repeat(300)])
  const bytes = `${hello}\x05${command}\x00${address}${port}${data}`
  return { bytes: once(random, 3) ? bytes : mutated(bytes, random), isHead: false, isFramed: false }
}
