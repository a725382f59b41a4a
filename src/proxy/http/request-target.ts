import { isIPv6 } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import { printable } from '../../lib/printable.ts'

/** RFC 9112 section 3.2.3: a host, which only as an IPv6 address has colons, and a port, which is not left out. */
const AUTHORITY = /^(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<name>[^\s:/?#@[\]\\]+)):(?<port>\d{1,5})$/

/** What CONNECT asks for. Throws `host_invalid` or `port_invalid`; what may be reached is for the target policy. */
export function parseAuthority(text: string): { readonly host: string; readonly port: number } {
  const { ipv6, name, port } = AUTHORITY.exec(text)?.groups ?? {}
  const host = ipv6 !== undefined && isIPv6(ipv6) ? ipv6 : name
  if (host === undefined || !/^[\x21-\x7e]+$/.test(host)) {
    const form = `CONNECT takes a host and a port, such as example.com:443, not "${printable(text)}"`
    throw new CbtorError('host_invalid', `Cannot open the tunnel: ${form}`)
  }
  const number = Number(port)
  if (number >= 1 && number <= 0xffff) return { host, port: number }
  throw new CbtorError('port_invalid', `Cannot open the tunnel: the port is not a number from 1 to 65535: "${port}"`)
}

/** Throws unless it is an absolute-form http URL (RFC 9112 section 3.2.2); its parts are for the target policy. */
export function checkAbsoluteForm(target: string): void {
  if (target === '*') {
    const reason = 'this is about the proxy itself, which has nothing to say'
    throw new CbtorError('method_not_allowed', `Cannot answer OPTIONS *: ${reason}`)
  }
  if (target.startsWith('/')) {
    const reason = 'its target is a path; a proxy takes whole URLs (GET http://example.com/ HTTP/1.1) or CONNECT'
    throw new CbtorError('url_invalid', `Cannot forward the request: ${reason}`)
  }
  if (/^(?:https|wss):/i.test(target)) {
    const reason = 'TLS ends at the target and not at the proxy; send CONNECT and the request inside the tunnel'
    throw new CbtorError('use_connect', `Cannot forward the request: ${reason}`)
  }
  if (!/^http:/i.test(target)) {
    const [scheme = ''] = target.split(':', 1)
    const reason = `it fetches http URLs and opens tunnels, and this is neither: "${printable(scheme)}"`
    throw new CbtorError('scheme_not_allowed', `Cannot forward the request: ${reason}`)
  }
}
