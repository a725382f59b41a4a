import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import { printable } from '../lib/printable.ts'

/** Where a connection has arrived: an address of this machine. */
export type ArrivedAt = Pick<Socket, 'localAddress' | 'localPort'>

/** Clients leave out the port where it is the one that the scheme stands for, as do those whose proxy has it. */
const DEFAULT_PORTS = [80, 443]

/** The values of Host that the service answers for: a page whose name is rebound to our address sends another. */
export class AllowedHosts {
  /** As they are configured. */
  #named: readonly string[]
  /** What is listened on, as it may be written. */
  readonly #bound = new Set<string>()
  readonly #ports: number[] = []

  /** `hosts`: `name:port`, or `name` for that name without a port, with a default one, or with the one that is listened on. */
  constructor(hosts: readonly string[] = []) {
    this.#named = hosts.map((host) => host.toLowerCase())
  }

  /** Other names from now on; those of this machine's loopback stay. */
  reconfigure(hosts: readonly string[]): void {
    this.#named = hosts.map((host) => host.toLowerCase())
  }

  /** Adds the names of this machine's loopback, and the address that is listened on as it stands in a URL, with its port. */
  addLoopback(port: number, bound: string): void {
    this.#ports.push(port, ...DEFAULT_PORTS)
    const { hostname } = new URL(`http://${bound}`) // browsers write addresses in their shortest form
    for (const name of ['localhost', '127.0.0.1', '[::1]', bound.toLowerCase(), hostname]) this.#add(name, port)
  }

  /** Whoever may open a unix socket of ours is no web page, and has no address to write: `localhost` is what programs say. */
  addUnixSocket(): void {
    this.#bound.add('localhost')
  }

  /**
   * Also one that says no more than the address at which its connection has arrived: no name was looked up for it. Of whoever
   * listens on all addresses that is the only way to know them.
   */
  has(host: string, at: ArrivedAt = {}): boolean {
    const lower = host.toLowerCase()
    return this.#bound.has(lower) || this.#isNamed(lower) || isAddress(lower, at)
  }

  #isNamed(host: string): boolean {
    if (this.#named.includes(host)) return true
    const [, name, port] = /^(.*):(\d+)$/.exec(host) ?? []
    return name !== undefined && this.#named.includes(name) && this.#ports.includes(Number(port))
  }

  #add(name: string, port: number): void {
    this.#bound.add(`${name}:${port}`)
    if (DEFAULT_PORTS.includes(port)) this.#bound.add(name)
  }
}

function isAddress(host: string, { localAddress, localPort = 0 }: ArrivedAt): boolean {
  if (localAddress === undefined) return false
  const address = localAddress.replace(/^::ffff:(?=\d+\.)/, '')
  const shown = address.includes(':') ? `[${address}]` : address
  return host === `${shown}:${localPort}` || (DEFAULT_PORTS.includes(localPort) && host === shown)
}

const MAX_HEADERS = 64
/** Those that decide what becomes of a request. Others are joined by Node, or refused by its parser. */
const AT_MOST_ONCE = ['host', 'origin', 'sec-fetch-site', 'content-type', 'authorization']

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
    throw new CbtorError('duplicate_header', `Cannot read the request: it has more than one header "${repeated}"`)
  }
}

/** There is nothing to be expected but 100-continue, which Node answers (RFC 9110 section 10.1.1). */
export function checkExpectation({ expect }: IncomingHttpHeaders): void {
  if (expect === undefined || expect.toLowerCase() === '100-continue') return
  throw new CbtorError('expectation_failed', `Cannot take the request: it expects "${printable(expect)}"`)
}

/**
 * Protects the service from web pages in the user's browser. Host must be one of ours (DNS rebinding); Origin, which browsers send
 * with each POST and each cross-origin request, must be the very same host; and Sec-Fetch-Site, which they send with every request
 * and no page can change, must not say that another site's page asks. No exception is made for links: a GET may fetch.
 */
export function checkCaller(headers: IncomingHttpHeaders, hosts: AllowedHosts, at?: ArrivedAt): void {
  const { host = '', origin, 'sec-fetch-site': site } = headers
  if (!hosts.has(host, at)) {
    throw new CbtorError(
      'host_not_allowed',
      `Cannot answer: the Host header "${printable(host)}" is not of this service; names that it has go into "hosts" of its configuration`,
    )
  }
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    throw new CbtorError(
      'origin_not_allowed',
      `Cannot answer: a page of another site asks (Sec-Fetch-Site "${printable(String(site))}")`,
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
