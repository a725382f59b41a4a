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

  /** Adds the names of this machine's loopback with the port that is listened on. */
  addLoopback(port: number): void {
    for (const name of ['localhost', '127.0.0.1', '[::1]']) {
      this.#hosts.add(`${name}:${port}`)
      if (port === 80) this.#hosts.add(name) // clients leave out the default port
    }
  }

  has(host: string): boolean {
    return this.#hosts.has(host.toLowerCase())
  }
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
