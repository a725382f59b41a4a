import { BlockList, isIP } from 'node:net'

/** What may be dialled without Tor for a webhook, when the operator lists it: addresses of one's own machine and networks. */
const LOCAL = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '::1/128',
  'fc00::/7',
].map((text) => parseNetwork(text))

interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: 4 | 6
}

/** A network of receivers, and their port. */
export interface LocalReceiver extends Network {
  readonly port: number
}

/** Where a webhook goes without Tor. */
export interface LocalTarget {
  /** An IP address, without brackets. */
  readonly host: string
  readonly port: number
  /** With its query. */
  readonly path: string
}

/**
 * Reads `127.0.0.1:9000`, `10.1.0.0/16:9000`, `[fd00::/8]:9000`. Undefined for anything else, also for networks that are not wholly
 * local: a public address is never dialled, nor are link-local ones, where clouds keep their secrets.
 */
export function parseLocalReceiver(text: string): LocalReceiver | undefined {
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const network = readNetwork(v6 ?? v4 ?? '')
  if (network === undefined || (network.family === 6) !== (v6 !== undefined) || !(port >= 1 && port <= 65_535))
    return undefined
  return LOCAL.some((local) => holds(local, network.address) && network.prefix >= local.prefix)
    ? { ...network, port }
    : undefined
}

/** Where the URL leads if it may be dialled directly: an http URL of an IP address that `allowed` has. Undefined otherwise. */
export function localTargetOf(text: string, allowed: readonly LocalReceiver[]): LocalTarget | undefined {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 'http:' || url.username !== '' || url.password !== '') return undefined
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = url.port === '' ? 80 : Number(url.port)
  if (isIP(host) === 0 || !allowed.some((each) => each.port === port && holds(each, host))) return undefined
  return { host, port, path: `${url.pathname}${url.search}` }
}

/** An address of the other family is not in it, be it the same one in disguise. */
function holds({ address, prefix, family }: Network, other: string): boolean {
  if (isIP(other) !== family) return false
  const list = new BlockList()
  const type = family === 4 ? 'ipv4' : 'ipv6'
  list.addSubnet(address, prefix, type)
  return list.check(other, type)
}

function parseNetwork(text: string): Network {
  const network = readNetwork(text)
  if (network === undefined) throw new RangeError(`Cannot read the network "${text}"`)
  return network
}

function readNetwork(text: string): Network | undefined {
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = isIP(address)
  if (family !== 4 && family !== 6) return undefined
  const longest = family === 4 ? 32 : 128
  const prefix = digits === undefined ? longest : Number(digits)
  return prefix <= longest && !address.includes('%') ? { address, prefix, family } : undefined
}
