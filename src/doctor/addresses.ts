import { isIP } from 'node:net'
import { isLoopbackAddress } from '../lib/loopback.ts'
import type { ListenAddress } from '../listen/address.ts'

/** Whether only this machine can reach it. A name but `localhost` may be anything. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || isLoopbackAddress(host)
}

/** Where this machine reaches what listens there: nobody can call `all addresses`. */
export function reachableAt(address: ListenAddress): ListenAddress {
  if ('path' in address || !/^(?:0\.0\.0\.0|[0:]+)$/.test(address.host) || address.host === '::1') return address
  return { host: address.host.includes(':') ? '::1' : '127.0.0.1', port: address.port }
}

export function showAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** `127.0.0.1:9050`, `[::1]:9050`; undefined for anything else, a unix socket among them. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, v6, v4 = '', port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4
  return port === undefined || isIP(host) === 0 ? undefined : { host, port: Number(port) }
}
