import { isIP } from 'node:net'
import { isLoopbackAddress } from '../lib/loopback.ts'

export interface TcpAddress {
  /** An IP address; IPv6 without brackets. A name would be looked up. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

export interface UnixAddress {
  /** Absolute. The socket is for its owner alone. */
  readonly path: string
}

/** Where the API or a port of the proxy listens. */
export type ListenAddress = TcpAddress | UnixAddress

export const ADDRESS_FORMS = 'expected HOST:PORT, such as 127.0.0.1:32211, or unix: and an absolute path'
const NO_NAME = 'expected an IP address or localhost, for a name would have to be looked up: such as 127.0.0.1:32211'
const NO_ZONE = 'expected an address without a zone, such as [::]:32211'

/** Written `host:port`, `[v6]:port`, a port alone (of 127.0.0.1), or `unix:/path`. A text says what would be right. */
export function parseListenAddress(text: string): ListenAddress | string {
  const [, path] = /^unix:(\/.+)$/.exec(text) ?? []
  if (path !== undefined) return { path }
  const [, v6, name, digits] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return ADDRESS_FORMS
  const host = v6 ?? name ?? '127.0.0.1'
  if (host.toLowerCase() === 'localhost') return { host: '127.0.0.1', port }
  if (host.includes('%')) return NO_ZONE
  return isIP(host) === (v6 === undefined ? 4 : 6) ? { host, port } : NO_NAME
}

/** Whether nobody but this machine can reach it. */
export function staysOnMachine(address: ListenAddress): boolean {
  return 'path' in address || isLoopbackAddress(address.host)
}

/** `127.0.0.1:8118`, `[::1]:8118`, `unix:/run/cbtor.sock`. */
export function showListenAddress(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}
