import type { IncomingHttpHeaders } from 'node:http'
import { CbtorError } from '../domain/errors.ts'
import { printable } from '../lib/printable.ts'

/** The values of Host that the service answers for: a page whose name is rebound to our address sends another. */
export class AllowedHosts {
  readonly #hosts: Set<string>

  /** `hosts`: `name` or `name:port` as clients send it. */
  constructor(hosts: readonly string[] = []) {
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()))
  }

  /** Adds the names of this machine's loopback, and the address that is listened on as it stands in a URL, with its port. */
  addLoopback(port: number, bound: string): void {
    const { hostname } = new URL(`http://${bound}`) // browsers write addresses in their shortest form
    for (const name of ['localhost', '127.0.0.1', '[::1]', bound.toLowerCase(), hostname]) {
      this.#hosts.add(`${name}:${port}`)
      if (port === 80) this.#hosts.add(name) // clients leave out the default port
    }
  }

  has(host: string): boolean {
    return this.#hosts.has(host.toLowerCase())
  }
}

const MAX_HEADERS = 64
/** Those that decide what becomes of a request. Others are joined by Node, or refused by its parser. */
const AT_MOST_ONCE = ['host', 'origin', 'content-type']

/**
 * Refuses a request that could be read in two ways: of a repeated header Node shows the first value only, where another
 * reader may take the last (RFC 9112 section 3.2 for Host). `rawHeaders`: names and values in turn, as Node has them.
 */
export function checkHeaders(rawHeaders: readonly string[]): void {
  const names = rawHeaders.flatMap((text, index) => (index % 2 === 0 ? text.toLowerCase() : []))
  if (names.length > MAX_HEADERS) {
    throw new CbtorError(
      'request_headers_too_large',
      `Cannot read the request: it has more than ${MAX_HEADERS} headers: ${names.length}`,
    )
  }
  const repeated = AT_MOST_ONCE.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
  if (repeated !== undefined) {
    throw new CbtorError('http_invalid', `Cannot read the request: it has more than one header "${repeated}"`)
  }
}

/** There is nothing to be expected but 100-continue, which Node answers (RFC 9110 section 10.1.1). */
export function checkExpectation({ expect }: IncomingHttpHeaders): void {
  if (expect === undefined || expect.toLowerCase() === '100-continue') return
  throw new CbtorError('expectation_failed', `Cannot take the request: it expects "${printable(expect)}"`)
}

/**
 * Protects a service on loopback from web pages in the user's browser. Host must be one of ours (DNS rebinding), and
 * Origin, which browsers send with each POST and each cross-origin request, must be the very same host.
 */
export function checkCaller(headers: IncomingHttpHeaders, hosts: AllowedHosts): void {
  const { host = '', origin } = headers
  if (!hosts.has(host)) {
    throw new CbtorError(
      'host_not_allowed',
      `Cannot answer: the Host header "${printable(host)}" is not of this service`,
    )
  }
  if (origin === undefined) return
  const [, originHost] = /^https?:\/\/(.+)$/i.exec(origin) ?? []
  if (originHost?.toLowerCase() !== host.toLowerCase()) {
    throw new CbtorError(
      'origin_not_allowed',
      `Cannot answer: the page's origin "${printable(origin)}" is not this service`,
    )
  }
}

const JSON_IN_UTF8 = /^application\/json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?$/i

/** JSON in UTF-8 and not compressed, or nothing: also stops HTML forms, which need no preflight. */
export function checkMediaType(headers: IncomingHttpHeaders): void {
  const { 'content-type': type, 'content-encoding': encoding } = headers
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new CbtorError(
      'unsupported_media_type',
      `Cannot read the request body: it must not be compressed, but Content-Encoding is "${printable(encoding)}"`,
    )
  }
  if (type !== undefined && !JSON_IN_UTF8.test(type)) {
    throw new CbtorError(
      'unsupported_media_type',
      `Cannot read the request body: it must be application/json, in UTF-8, not "${printable(type)}"`,
    )
  }
}
