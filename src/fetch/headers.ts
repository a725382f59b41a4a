import { CbtorError } from '../domain/errors.ts'
import { printable } from '../lib/printable.ts'
import { tellsOfClient } from '../lib/telling-header.ts'

export type HeaderList = readonly (readonly [name: string, value: string])[]

/**
 * What every request carries unless the caller says otherwise: the values of Tor Browser 15 (Firefox ESR 140) with the
 * user agent of its most common platform, so that a target learns neither Node nor CBTOR from them. `Host` and
 * `Connection` go before, names are in lower case. It is a neutral set, no disguise: order, case and the TLS handshake
 * still differ from a browser's.
 */
export const DEFAULT_HEADERS: HeaderList = [
  ['user-agent', 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['accept-language', 'en-US,en;q=0.5'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
]

const MAX_COUNT = 64
const MAX_HEADER_BYTES = 16 * 1024
const MAX_TOTAL_BYTES = 32 * 1024

/** RFC 9110, section 5.6.2: token. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** RFC 9110, section 5.5: field-content, with obs-text. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Of the connection and the message's framing, which are ours. */
const FRAMING =
  /^(?:host|content-length|transfer-encoding|connection|upgrade|http2-settings|proxy-.*|te|trailer|keep-alive|expect)$/

/** RFC 9110, section 7.6.1, and what RFC 2616 counted among them. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * The whole header list of a request, names in lower case: the defaults in their order, each replaced by what the
 * caller gave for it or left out, as `without` says, then the caller's others. A part of a body is asked for uncoded, for nobody can decode a part, and
 * many servers ignore the range otherwise: Fetch Standard, "HTTP-network-or-cache fetch". Throws `header_invalid`,
 * `header_forbidden` or `headers_too_large`.
 */
export function requestHeaders(given: HeaderList, without: readonly string[] = []): HeaderList {
  if (given.length === 0 && without.length === 0) return DEFAULT_HEADERS
  checkSizes(given)
  const dropped = new Set(without.map((name) => droppedName(name)))
  const callers = given.map(([name, value]) => [checkedName(name), checkedValue(name, value)] as const)
  const wantsPart = callers.some(([name]) => name === 'range')
  const first = DEFAULT_HEADERS.flatMap(([standard, value]) => {
    const own = callers.filter(([name]) => name === standard)
    if (own.length > 0) return own
    if (dropped.has(standard)) return []
    return [[standard, standard === 'accept-encoding' && wantsPart ? 'identity' : value] as const]
  })
  return [...first, ...callers.filter(([name]) => !isDefault(name))]
}

/** A response's header list without what concerns only the connection it came over. Names must be in lower case. */
export function endToEndHeaders(received: HeaderList): HeaderList {
  const named = valuesOf(received, 'connection').flatMap((value) => value.toLowerCase().split(','))
  const alsoDropped = new Set(named.map((name) => name.trim())) // a target may name thousands, and send thousands
  return received.filter(([name]) => !HOP_BY_HOP.has(name) && !alsoDropped.has(name))
}

export function withoutHeaders(headers: HeaderList, dropped: ReadonlySet<string>): HeaderList {
  return headers.filter(([name]) => !dropped.has(name))
}

/** All values of `name`, which is in lower case, as are the list's names. */
export function valuesOf(headers: HeaderList, name: string): readonly string[] {
  return headers.filter(([other]) => other === name).map(([, value]) => value)
}

function checkSizes(given: HeaderList): void {
  const sizes = given.map(([name, value]) => name.length + value.length)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (given.length > MAX_COUNT) throw tooLarge(`there are more than ${MAX_COUNT}`, given.length)
  if (Math.max(0, ...sizes) > MAX_HEADER_BYTES) throw tooLarge(`one has more than ${MAX_HEADER_BYTES} bytes`, total)
  if (total > MAX_TOTAL_BYTES) throw tooLarge(`together they have more than ${MAX_TOTAL_BYTES} bytes`, total)
}

function tooLarge(reason: string, value: number): CbtorError {
  return new CbtorError('headers_too_large', `Cannot send the headers: ${reason}: ${value}`)
}

function isDefault(name: string): boolean {
  return DEFAULT_HEADERS.some(([other]) => other === name)
}

function droppedName(name: string): string {
  const lower = name.toLowerCase()
  if (isDefault(lower)) return lower
  throw new CbtorError(
    'header_invalid',
    `Cannot leave out the header: none of this name is sent by default: ${shown(name)}`,
  )
}

function checkedName(name: string): string {
  const lower = name.toLowerCase()
  if (!TOKEN.test(name))
    throw new CbtorError('header_invalid', `Cannot send the header: its name is not a token: ${shown(name)}`)
  if (FRAMING.test(lower))
    throw new CbtorError('header_forbidden', `Cannot send the header: it is set for you: ${shown(name)}`)
  if (tellsOfClient(lower)) {
    throw new CbtorError(
      'header_forbidden',
      `Cannot send the header: it tells of a client behind a proxy: ${shown(name)}`,
    )
  }
  return lower
}

function checkedValue(name: string, value: string): string {
  if (!FIELD_VALUE.test(value)) {
    throw new CbtorError(
      'header_invalid',
      `Cannot send the header: its value has a forbidden character: ${shown(name)}`,
    )
  }
  return value
}

/** Names are shown, values never: they may be secrets. */
function shown(name: string): string {
  return `"${printable(name)}"`
}
