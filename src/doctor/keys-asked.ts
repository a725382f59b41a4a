import { proxyAuth } from '../config/exposure.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import { type ListenAddress, showListenAddress } from '../listen/address.ts'
import { type Finding, ok, warning } from './finding.ts'

/** Whether every way in asks for a key. One that does not is of this machine alone, or the configuration would be refused. */
export function checkKeysAsked(config: Pick<ServiceConfig, 'listen' | 'auth' | 'proxy' | 'tls'>): Finding {
  const { listen, auth, proxy, tls } = config
  const ports = [proxy.http, proxy.socks, proxy.both].filter((at) => at !== undefined && at !== 'off')
  const open = [...(auth === 'off' ? [listen] : []), ...(proxyAuth(config) === 'off' ? ports : [])]
  const reachable = open.filter((at) => 'port' in at)
  if (open.length === 0) return ok('keys', 'asked for by the API and by every port of the proxy')
  if (reachable.length === 0) return ok('keys', `not asked for at ${list(open)}, where only the owner gets in`)
  const others = tls === 'offloaded' ? ', and whoever reaches what does TLS in front of it,' : ''
  return warning(
    'keys',
    `every user and program of this machine${others} may use ${list(reachable)} without a key`,
    'Set auth: on, or let it listen on unix:/PATH, which is for the owner alone',
  )
}

function list(addresses: readonly ListenAddress[]): string {
  return addresses.map(showListenAddress).join(', ')
}
