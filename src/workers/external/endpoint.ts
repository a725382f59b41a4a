import { isIP } from 'node:net'
import { socketPathFaults } from '../../tor/torrc/socks-port.ts'

/** Where a port of somebody else's Tor is: a unix socket, or an IP address (IPv6 without brackets) and a port. */
export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number }

/** What is wrong with it, in words that follow "it"; undefined when nothing is. */
export function endpointFault(endpoint: Endpoint): string | undefined {
  if ('path' in endpoint) return socketPathFaults(endpoint.path)[0]
  const { host, port } = endpoint
  if (!(Number.isInteger(port) && port >= 1 && port <= 0xffff)) return `has a port that is not from 1 to 65535: ${port}`
  if (isIP(host) !== 0) return undefined
  return `has a name for a host, and this program resolves no names outside Tor: ${JSON.stringify(host)}. Write its IP address, such as 127.0.0.1, or the path of a unix socket`
}
