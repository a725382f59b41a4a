import { BlockList, isIP } from 'node:net'
import { isAbsolute } from 'node:path'
import { MAX_SOCKET_PATH_BYTES } from '../tor-directory.ts'
import { cString } from './quote.ts'

/**
 * The flags of a SocksPort that we let through, from tor(1). Left out are those that end isolation (`NoIsolateSOCKSAuth`,
 * `PreferSOCKSNoAuth`, ...) and those that share DNS answers between streams (`CacheDNS`, `UseDNSCache`, ...).
 */
export const SOCKS_FLAGS = [
  'IsolateClientAddr',
  'IsolateSOCKSAuth',
  'IsolateClientProtocol',
  'IsolateDestPort',
  'IsolateDestAddr',
  'KeepAliveIsolateSOCKSAuth',
  'ExtendedErrors',
  'NoIPv4Traffic',
  'IPv6Traffic',
  'NoIPv6Traffic',
  'PreferIPv6',
  'NoPreferIPv6',
  'NoDNSRequest',
  'NoOnionTraffic',
  'OnionTrafficOnly',
  'NoPreferIPv6Automap',
  'GroupWritable',
  'WorldWritable',
] as const
export type SocksFlag = (typeof SOCKS_FLAGS)[number]

export interface SocksPort {
  /** Where it listens; `host` is an IP literal. One that is not loopback needs a `SocksPolicy`. */
  readonly listen: { readonly path: string } | { readonly host: string; readonly port: number }
  readonly flags: readonly SocksFlag[]
}

const KNOWN_FLAGS = new Set<string>(SOCKS_FLAGS.map((flag) => flag.toLowerCase()))

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** The value of a `SocksPort` line. */
export function formatSocksPort({ listen, flags }: SocksPort): string {
  const address = 'path' in listen ? formatSocket(listen.path) : `${bracket(listen.host)}:${listen.port}`
  return [address, ...flags].join(' ')
}

/** What is wrong with the value of a `SocksPort` line, in words that follow "it". */
export function socksPortFaults(value: string, hasPolicy: boolean): string[] {
  const { address, flags } = splitPort(value)
  return [
    ...listenerFaults(address, hasPolicy ? undefined : 'needs a SocksPolicy that ends with "reject *"'),
    ...flags
      .filter((flag) => !KNOWN_FLAGS.has(flag.toLowerCase()) && !/^SessionGroup=\d+$/i.test(flag))
      .map((flag) => `has the flag "${flag}", which is unknown or unsafe`),
  ]
}

/**
 * What is wrong with where a listener listens. `openToOthers` says what is wrong with an address that others can reach,
 * if anything is.
 */
export function listenerFaults(address: string, openToOthers: string | undefined): string[] {
  if (address.startsWith('unix:')) return socketPathFaults(address.slice('unix:'.length))
  const [, host = '127.0.0.1', port = ''] = /^(?:(.+):)?([^:]+)$/.exec(address) ?? []
  const faults: string[] = []
  if (port !== 'auto' && !(/^\d{1,5}$/.test(port) && Number(port) <= 0xffff))
    faults.push(`has no valid port: ${address}`)
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  const family = isIP(bare)
  // A name might resolve to anything, and tor would ask the system's resolver.
  if (family === 0) faults.push(`listens on something that is not an IP address: ${host}`)
  else if (!loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6') && openToOthers !== undefined)
    faults.push(`listens on ${bare}, where others can reach it, and ${openToOthers}`)
  return faults
}

export function socketPathFaults(path: string): string[] {
  const faults: string[] = []
  if (!isAbsolute(path)) faults.push(`has a path that is not absolute: ${path}`)
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_SOCKET_PATH_BYTES)
    faults.push(`has a path of ${bytes} bytes, and a unix socket's may have ${MAX_SOCKET_PATH_BYTES}: ${path}`)
  return faults
}

/** Parts a listener's address, its path without quotes, from its flags. */
export function splitPort(value: string): { address: string; flags: string[] } {
  const [whole, quoted] = /^unix:"((?:[^"\\]|\\.)*)"/.exec(value) ?? []
  const address = whole ?? /^\S*/.exec(value)?.[0] ?? ''
  const flags = value.slice(address.length).split(/\s+/).filter(Boolean)
  return { address: quoted === undefined ? address : `unix:${quoted.replace(/\\(.)/g, '$1')}`, flags }
}

/** A unix socket as an address to listen on. */
export function formatSocket(path: string): string {
  return `unix:${/^[^\s"\\]+$/.test(path) ? path : cString(path)}`
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
